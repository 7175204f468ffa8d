-- Shows a view's newest window, in one atomic step.
--   KEYS[1]  the ZSET; ARGV[1] the prefix of all other keys, which has the same hash tag
--   ARGV[2]  the fence that must be there ('0': none), ARGV[3] the fence to set: texts, never numbers
--   ARGV[4]  '1': what is shown is void, the table was truncated
--   ARGV[5]  JSON of the window to show: {view, end, fields: [field, value, ...], members: [score, member, ...], labels: [...]};
--            '': none. One that is older than what is shown only moves the fence, if that is of the same view.
-- Returns 'ok', or 'moved' and the fence that was found: none if something was evicted since the last one was set.
local zset, prefix = KEYS[1], ARGV[1]
local window, labels = prefix .. ':window', prefix .. ':labels'

local fence = redis.call('GET', prefix .. ':fence') or '0'
if fence ~= ARGV[2] then return {'moved', fence} end
local known, evicted = redis.call('GET', prefix .. ':evicted') or '', evictions()
if fence ~= '0' and not isWhole(known, evicted) then
  redis.call('DEL', prefix .. ':fence')
  return {'moved', '0'}
end

-- whoever only looks whether something was evicted writes nothing, also where nothing can be written
if ARGV[2] == ARGV[3] and ARGV[4] ~= '1' and ARGV[5] == '' and known == evicted then return {'ok'} end

local function clear() redis.call('DEL', zset, window, labels) end

if ARGV[4] == '1' then clear() end
if ARGV[5] ~= '' then
  local show = cjson.decode(ARGV[5])
  local shown = tonumber(redis.call('HGET', window, 'end_ms') or '-inf')
  local view = redis.call('HGET', window, 'view')
  if show['end'] >= shown or (view and view ~= show.view) then
    clear()
    redis.call('HSET', window, 'view', show.view, unpack(show.fields))
    for i = 1, #show.members, 2 do redis.call('ZADD', zset, show.members[i], show.members[i + 1]) end
    for i = 1, #show.labels, 2 do redis.call('HSET', labels, show.labels[i], show.labels[i + 1]) end
  end
end
if known ~= evicted then redis.call('SET', prefix .. ':evicted', evicted) end
redis.call('SET', prefix .. ':fence', ARGV[3])
return {'ok'}
