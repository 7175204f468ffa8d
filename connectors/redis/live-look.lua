-- What a live structure has of some members at its fence, all as of one moment. Changes nothing.
--   KEYS[1]  the ZSET; ARGV[1] the prefix of all other keys, which has the same hash tag
--   ARGV[2]  JSON: the structure, see LiveShape in live-structure.ts
--   ARGV[3]  milliseconds since 1970: panes that begin then or later are open; the others are not looked at
--   ARGV[4]  and all behind it: the members
-- Returns the fence and the end (false: there is none, or its structures are lost), and for each member its score (false: it
-- is not there), its accumulators summed over the open panes, as integers with spaces between, and the fields of its hash.
local zset, prefix = KEYS[1], ARGV[1]
local shape = cjson.decode(ARGV[2])
local fence = redis.call('GET', prefix .. ':generation') and redis.call('GET', prefix .. ':fence')
local ending = redis.call('GET', prefix .. ':end')

local open = {}
if ending then
  local newest = math.floor(tonumber(ending) / 1000 / shape.paneMs) * shape.paneMs
  open = redis.call('ZRANGEBYSCORE', prefix .. ':panes', ARGV[3], string.format('%.0f', newest))
end
local fields = {}
for _, measure in ipairs(shape.hash) do fields[#fields + 1] = measure.field end

local answer = {fence or false, ending or false}
for i = 4, #ARGV do
  local member, sums = ARGV[i], {}
  for a = 1, shape.accumulators do sums[a] = 0 end
  for _, start in ipairs(open) do
    local place = 0
    for value in string.gmatch(redis.call('HGET', prefix .. ':pane:' .. start, member) or '', '%S+') do
      place = place + 1
      sums[place] = sums[place] + tonumber(value)
    end
  end
  for a = 1, shape.accumulators do sums[a] = string.format('%.0f', sums[a]) end
  local row = {redis.call('ZSCORE', zset, member), table.concat(sums, ' ')}
  if #fields > 0 then
    for _, value in ipairs(redis.call('HMGET', prefix .. ':' .. shape.memberWord .. ':' .. member, unpack(fields))) do row[#row + 1] = value end
  end
  answer[#answer + 1] = row
end
return answer
