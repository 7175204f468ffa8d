-- How many keys the server has evicted, and of which run of it that is said. Eviction takes parts of a structure and leaves
-- its fence: what was made while there were fewer must be made anew. Another run of the server counts from 0. A server that
-- does not tell, as some that are rented do not, is taken to evict nothing.
local function told(section, pattern)
  local info = redis.pcall('INFO', section)
  return type(info) == 'string' and string.match(info, pattern)
end
local function evictions() return (told('server', 'run_id:(%w+)') or '') .. ' ' .. (told('stats', 'evicted_keys:(%d+)') or '0') end
local function isWhole(known, present)
  return known == present or (string.match(present, '%d+$') == '0' and string.match(known, '^%w*') ~= string.match(present, '^%w*'))
end
