-- Moves a live structure from one fence to the next, in one atomic step (E11). Everything is a function of what the panes
-- hold and of `end`, so it does not matter how the stream was cut.
--   KEYS[1]  the ZSET; ARGV[1] the prefix of all other keys, which has the same hash tag
--   ARGV[2]  'apply' or 'swap'; ARGV[3] the fence that must be there, ARGV[4] the fence to set: texts, never numbers
--   ARGV[5]  JSON: what changes, see LiveChange in live-structure.ts; ARGV[6] JSON: the structure, see LiveShape
-- Returns 'ok', 'lost' (fence without structures, or something was evicted since they were made), 'taken' (the key is no ZSET), 'large' and which accumulator's sum would
-- be about what, 'moved' and the fence that was found, or 'anew' and the generation that was found instead of `since`.
local zset, prefix = KEYS[1], ARGV[1]
local mode, expected, target = ARGV[2], ARGV[3], ARGV[4]
local change, shape = cjson.decode(ARGV[5]), cjson.decode(ARGV[6])

local fence = redis.call('GET', prefix .. ':fence') or ''
if fence ~= expected then return {'moved', fence} end
local generation = redis.call('GET', prefix .. ':generation')
if mode == 'apply' and not generation then return {'lost'} end
local known, evicted = redis.call('GET', prefix .. ':evicted') or '', evictions()
if mode == 'apply' and not isWhole(known, evicted) then
  redis.call('DEL', prefix .. ':generation')
  return {'lost'}
end
-- what made it anew meanwhile may have had newer panes, or other views, at the same fence
if change.since and (generation or '') ~= change.since then return {'anew', generation or ''} end

local kind = redis.call('TYPE', zset).ok
if kind ~= 'none' and kind ~= 'zset' then return {'taken', kind} end

local width = shape.accumulators
local panes, total = prefix .. ':panes', prefix .. ':total'
local function paneKey(start) return prefix .. ':pane:' .. start end
local function memberKey(member) return prefix .. ':' .. shape.memberWord .. ':' .. member end
local function integer(value) return value == 0 and '0' or string.format('%.0f', value) end

-- The accumulators of a member, packed as integers with spaces between. One match for all, and one format, as far as Lua has
-- captures: each call costs more than what it does.
local captures = width <= 32 and string.rep('(%S+) ', width - 1) .. '(%S+)'
local function unpacked(packed)
  local values = {}
  if packed and captures then
    values = {string.match(packed, captures)}
    for i = 1, width do values[i] = tonumber(values[i]) end
  elseif packed then
    for value in string.gmatch(packed, '%S+') do values[#values + 1] = tonumber(value) end
  else
    for i = 1, width do values[i] = 0 end
  end
  return values
end
local integers = string.rep('%.0f ', width - 1) .. '%.0f'
local function isEmpty(values)
  for i = 1, width do
    if values[i] ~= 0 then return false end
  end
  return true
end

-- All sums are made here. Beyond 2^53 they would be rounded, and stay wrong after what made them large was taken away.
local exact = 2 ^ 53 - 1
local function add(sums, values, sign)
  for i = 1, width do
    sums[i] = sums[i] + sign * values[i]
    if math.abs(sums[i]) > exact then error({large = {'large', tostring(i), integer(sums[i])}}) end
  end
end

-- One call for many members instead of one for each: a call costs more than what it does.
local many = 1000
local function inChunks(list, work)
  for first = 1, #list, many do work(first, math.min(first + many - 1, #list)) end
end

local endText = redis.call('GET', prefix .. ':end')
if mode == 'swap' then endText = nil end
local function floorOf(text) return text and math.floor(tonumber(text) / 1000 / shape.paneMs) * shape.paneMs or -math.huge end
local oldFloor = floorOf(endText)
if change.endUs ~= '' and (not endText or tonumber(change.endUs) > tonumber(endText)) then endText = change.endUs end
local newFloor = floorOf(endText)
local oldest = newFloor - shape.sizeMs -- panes that start here or before are over
local isVoid = mode == 'swap' or change.truncated -- what is there does not count any more

-- What is reckoned before anything is written: the sums that members get in panes and in the total, and panes that are over.
local paneSums, totalSums, over = {}, {}, {}

-- member -> sums: what a hash has for the members of `changes`, and those.
local function summed(key, changes)
  local members, sums = {}, {}
  for member in pairs(changes) do members[#members + 1] = member end
  inChunks(members, function(first, last)
    local packed = isVoid and {} or redis.call('HMGET', key, unpack(members, first, last))
    for i = first, last do
      local values = unpacked(packed[i - first + 1])
      add(values, changes[members[i]], 1)
      sums[members[i]] = values
    end
  end)
  return sums
end

local function reckon()
  local gains = {} -- of the total: member -> sums
  local function addToTotal(member, values, sign)
    if not gains[member] then gains[member] = unpacked(false) end
    add(gains[member], values, sign)
  end
  local function addPaneToTotal(start, sign)
    local flat = redis.call('HGETALL', paneKey(start))
    for i = 1, #flat, 2 do addToTotal(flat[i], unpacked(flat[i + 1]), sign) end
  end

  local changed = {} -- pane start -> member -> sums
  for i, start in ipairs(change.panes) do
    if start > oldest then
      local member, values = change.keys[i], {}
      for a = 1, width do values[a] = change.values[a][i] end
      if start <= newFloor then addToTotal(member, values, 1) end
      if not changed[start] then changed[start] = {} end
      if changed[start][member] then add(changed[start][member], values, 1) else changed[start][member] = values end
    end
  end

  if newFloor > oldFloor and not isVoid then
    local from = oldFloor == -math.huge and '-inf' or '(' .. integer(oldFloor)
    for _, start in ipairs(redis.call('ZRANGEBYSCORE', panes, from, integer(newFloor))) do
      if tonumber(start) > oldest then addPaneToTotal(start, 1) end
    end
    over = redis.call('ZRANGEBYSCORE', panes, '-inf', integer(oldest))
    for _, start in ipairs(over) do
      if tonumber(start) <= oldFloor then addPaneToTotal(start, -1) end
    end
  end

  for start, changes in pairs(changed) do
    local name = integer(start)
    paneSums[name] = summed(paneKey(name), changes)
  end
  totalSums = summed(total, gains)
end

-- |value| / 10^scale as decimal text, without zeros at the end.
local function decimal(value, scale)
  if scale == 0 or value == 0 then return integer(value) end
  local digits = integer(math.abs(value))
  digits = string.rep('0', scale + 1 - #digits) .. digits
  local fraction = string.gsub(string.sub(digits, -scale), '0+$', '')
  local text = string.sub(digits, 1, -scale - 1) .. (fraction == '' and '' or '.' .. fraction)
  return value < 0 and '-' .. text or text
end

-- A measure as text, as measuresOf in core/views/results.ts: a quotient has six digits more, rounded half away from zero.
local function measured(measure, values)
  local value = values[measure.of]
  if measure.kind == 'exact' then return decimal(value, measure.scale) end
  local divisor = measure.by and values[measure.by] or measure.divisor
  if divisor == 0 then return '0' end
  local sign = (value < 0) ~= (divisor < 0) and -1 or 1
  local numerator, denominator = 2 * math.abs(value) * measure.factor * 1e6, 2 * math.abs(divisor)
  numerator = numerator + math.abs(divisor)
  return decimal(sign * (numerator - math.fmod(numerator, denominator)) / denominator, measure.scale + 6)
end

local function keep(key, sums)
  local fields, emptied = {}, {}
  for member, values in pairs(sums) do
    if isEmpty(values) then emptied[#emptied + 1] = member
    else
      fields[#fields + 1] = member
      fields[#fields + 1] = string.format(integers, unpack(values, 1, width))
    end
  end
  inChunks(fields, function(first, last) redis.call('HSET', key, unpack(fields, first, last)) end)
  inChunks(emptied, function(first, last) redis.call('HDEL', key, unpack(emptied, first, last)) end)
end

local function write()
  if mode == 'swap' then
    for _, key in ipairs(change.leftovers) do redis.call('DEL', key) end
  end
  if isVoid then
    for _, start in ipairs(redis.call('ZRANGE', panes, 0, -1)) do redis.call('DEL', paneKey(start)) end
    for _, member in ipairs(redis.call('HKEYS', total)) do redis.call('DEL', memberKey(member)) end
    redis.call('DEL', zset, panes, total)
  end

  for start, sums in pairs(paneSums) do
    keep(paneKey(start), sums)
    redis.call('ZADD', panes, start, start)
  end
  for _, start in ipairs(over) do
    redis.call('DEL', paneKey(start))
    redis.call('ZREM', panes, start)
  end

  keep(total, totalSums)
  local scores, gone = {}, {}
  for member, values in pairs(totalSums) do
    local score = measured(shape.score, values)
    if tonumber(score) == 0 then
      gone[#gone + 1] = member
      redis.call('DEL', memberKey(member))
    else
      scores[#scores + 1] = score
      scores[#scores + 1] = member
      if #shape.hash > 0 then
        local fields = {}
        for _, measure in ipairs(shape.hash) do
          fields[#fields + 1] = measure.field
          fields[#fields + 1] = measured(measure, values)
        end
        redis.call('HSET', memberKey(member), unpack(fields))
        redis.call('PEXPIRE', memberKey(member), shape.memberTtlMs)
      end
    end
  end
  inChunks(scores, function(first, last) redis.call('ZADD', zset, unpack(scores, first, last)) end)
  inChunks(gone, function(first, last) redis.call('ZREM', zset, unpack(gone, first, last)) end)

  if endText then redis.call('SET', prefix .. ':end', endText) end
  if mode == 'swap' then
    if not endText then redis.call('DEL', prefix .. ':end') end
    redis.call('SET', prefix .. ':generation', change.generation)
  end
  if known ~= evicted then redis.call('SET', prefix .. ':evicted', evicted) end
  redis.call('SET', prefix .. ':fence', target)
end

-- A script that fails is not undone: then the structures count as lost, and are rebuilt. Not when a sum is too large: it is
-- so in the panes too, nothing is written yet, and readers keep what was exact.
local done, failure = pcall(function()
  reckon()
  write()
end)
if done then return {'ok'} end
if type(failure) == 'table' and failure.large then return failure.large end
redis.call('DEL', prefix .. ':generation')
return type(failure) == 'table' and failure or redis.error_reply(failure)
