-- Tells how a pool and some of its lanes are. It changes nothing.
--
-- KEYS  1 pool, 2 permits of the pool, then for each lane itself, its permits and its window
-- Returns {now, permits, {fields and values of the pool}}, then for each lane {permits, {fields and
-- values}, {fields and values of the window}}.
local now = int(clock())
local function alive(key) return redis.call("ZCOUNT", key, "(" .. now, "+inf") end

local answer = {{now, alive(KEYS[2]), redis.call("HGETALL", KEYS[1])}}
for i = 3, #KEYS, 3 do
  answer[#answer + 1] = {alive(KEYS[i + 1]), redis.call("HGETALL", KEYS[i]), redis.call("HGETALL", KEYS[i + 2])}
end
return answer
