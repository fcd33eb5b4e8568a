-- Rebuilds a lane and its pool from what the store keeps. What Redis still has is kept where it
-- may be later than that.
--
-- KEYS  1 pool, 2 lane, 3 permits of the pool, 4 build, then for each call its lane's permits and
--       its own key
-- ARGV  1 number of the build, 2 gate µs, 3 pool's hold, 4 lane's hold, both "" for none,
--       5 operator's limits "r i o c" or "", 6 number of the opening, 7 its length µs, 8 prober or "",
--       9 for how long µs, 10 limits of the configuration "r i o c", 11 burst µs, 12 lease ms,
--       13 idle ms, 14 debt µs, then each call
-- Returns 1, or 0 when something was lost or changed since the build began.

if redis.call("GET", KEYS[4]) ~= ARGV[1] then return 0 end
local now, pool, lane = clock(), hash(KEYS[1]), hash(KEYS[2])

local function put(key, field, value)
  if value == "" then redis.call("HDEL", key, field) else redis.call("HSET", key, field, value) end
end

-- A meter that was lost starts with its limit used up: nothing is known of the last seconds. One of
-- tokens is used up for as long as the store says.
local function meter()
  local bounds = limits(pool, ARGV[10])
  for _, m in ipairs(meters(pool, {}, bounds, now)) do
    local used = ARGV[11] + m.each
    if m.name ~= "requests" then used = math.max(used, num(ARGV[14])) end
    if not pool[m.name] then redis.call("HSET", m.key, m.name, int(now + used)) end
  end
end

local function permits()
  for i = 15, #ARGV do
    local k = 5 + 2 * (i - 15)
    redis.call("ZADD", KEYS[3], "NX", int(now + ARGV[12] * 1000), ARGV[i])
    redis.call("ZADD", KEYS[k], "NX", int(now + ARGV[12] * 1000), ARGV[i])
    if redis.call("HSETNX", KEYS[k + 1], "at", int(now)) == 1 then redis.call("PEXPIRE", KEYS[k + 1], ARGV[12]) end
    redis.call("PEXPIRE", KEYS[k], ARGV[13])
  end
end

if not pool.built then
  put(KEYS[1], "limits", ARGV[5])
  pool.limits = ARGV[5] ~= "" and ARGV[5] or nil
  put(KEYS[1], "hold", ARGV[3])
  shut(pool, num(ARGV[2]), now)
  redis.call("HSET", KEYS[1], "built", 1)
  meter()
  permits()
end

put(KEYS[2], "hold", ARGV[4])
if not lane.opened then
  redis.call("HSET", KEYS[2], "opened", ARGV[6])
  if num(ARGV[6]) > 0 then redis.call("HSET", KEYS[2], "open_until", int(now + ARGV[7]), "changed", int(now)) end
  if ARGV[8] ~= "" then
    redis.call("HSET", KEYS[2], "prober", ARGV[8], "probe_until", int(now + ARGV[9]))
  end
end
if not lane.normal then redis.call("HSET", KEYS[2], "normal", 0.05) end
redis.call("HSET", KEYS[2], "built", 1)
for i = 1, 4 do redis.call("PEXPIRE", KEYS[i], ARGV[13]) end
return 1
