-- Renews permits, also those that Redis has lost: their calls are under way.
--
-- KEYS  1 permits of the pool, then for each call its lane's permits and its own key
-- ARGV  1 lease ms, 2 idle ms, then each call
-- Returns 1.
local now = clock()
for i = 3, #ARGV do
  local k, lapses = 2 + 2 * (i - 3), int(now + ARGV[1] * 1000)
  redis.call("ZADD", KEYS[1], lapses, ARGV[i])
  redis.call("ZADD", KEYS[k], lapses, ARGV[i])
  redis.call("HSETNX", KEYS[k + 1], "at", int(now))
  redis.call("PEXPIRE", KEYS[k + 1], ARGV[1])
  redis.call("PEXPIRE", KEYS[k], ARGV[2])
end
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return 1
