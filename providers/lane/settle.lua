-- Settles one call: shuts the gate, and, the first time, frees its place, corrects what it
-- reserved, learns the provider's limits, and tells the breaker.
--
-- KEYS  1 pool, 2 lane, 3 permits of the pool, 4 permits of the lane, 5 call, 6 window
-- ARGV  1 call, 2 outcome "ok" | "bad" | "none" | "unsent", 3 input tokens, 4 output tokens, both -1
--       when not known, 5 gate µs, 6 limits of the configuration "r i o c", 7 burst µs, 8 idle ms,
--       9 limits a minute told "r i o t", 10 which of them are used up, as 0 or 1 each "r i o t",
--       11 how long what was told is believed µs, 12 first opening µs, 13 longest opening µs,
--       14 what the end of a probe means: "" | "close" | "reopen" | "release",
--       15 number of the opening, 16 its length µs
-- Returns {1 if it was settled now, number of the opening it caused or 0, its length µs, 1 if the
-- call failed while the lane was down, debt µs}.

-- The window is a minute, in slots. It says nothing of a rate below VOLUME calls. Traffic is back
-- when more than RAMPED calls are let through at once. Openings follow one another when less than
-- FORGIVEN lies between.
local SLOT, SLOTS, VOLUME, RAMPED, FORGIVEN = 5000000, 12, 20, 32, 10 * MINUTE

local call, outcome = ARGV[1], ARGV[2]
local now, pool, lane = clock(), hash(KEYS[1]), hash(KEYS[2])

-- finish ends the probe, if it is this call.
local function finish(meaning)
  if meaning == "" or lane.prober ~= call then return end
  redis.call("HDEL", KEYS[2], "prober", "probe_until")
  if meaning == "close" then
    redis.call("HDEL", KEYS[2], "open_until")
    redis.call("HSET", KEYS[2], "ramp", 2, "changed", int(now))
  elseif meaning == "reopen" then
    redis.call("HSET", KEYS[2], "opened", ARGV[15], "open_until", int(now + ARGV[16]), "changed", int(now))
  end
end

-- correct gives back, or takes, the difference to what was reserved.
local function correct(permit)
  local before = uses(num(permit.charged), num(permit.input), num(permit.output))
  local after = uses(outcome == "unsent" and 0 or 1, before.input, before.output)
  if num(ARGV[3]) >= 0 then after = uses(after.requests, num(ARGV[3]), num(ARGV[4])) end
  for _, m in ipairs(meters(pool, lane, limits(pool, ARGV[6]), now)) do
    local by = math.min(m.each * after[m.name], 10 * MINUTE) - math.min(m.each * before[m.name], MINUTE)
    charge(m, by, now)
    credit(m, -by, now)
  end
end

-- learn keeps what the provider told of its limits. One that is used up has no burst left.
local function learn()
  local told = {string.match(ARGV[9], "(%d+) (%d+) (%d+) (%d+)")}
  local empty = {string.match(ARGV[10], "(%d) (%d) (%d) (%d)")}
  for n, name in ipairs({"requests", "input", "output", "tokens"}) do
    if num(told[n]) > 0 then
      redis.call("HSET", KEYS[2], "limit_" .. name, told[n], "learned_until", int(now + ARGV[11]))
      if empty[n] == "1" then
        local full = num(redis.call("HGET", KEYS[2], name))
        redis.call("HSET", KEYS[2], name, int(math.max(full, now + ARGV[7] + MINUTE / told[n])))
      end
    end
  end
end

-- note adds the call to the window. The first of a slot forgets what is older.
local function note()
  local slot, used, first = math.floor(now / SLOT), {input = num(ARGV[3]), output = num(ARGV[4]), [outcome] = 1}, false
  for what, n in pairs(used) do
    if n > 0 then first = redis.call("HINCRBY", KEYS[6], slot .. ":" .. what, n) == n or first end
  end
  redis.call("PEXPIRE", KEYS[6], SLOTS * SLOT / 1000)
  for _, field in ipairs(first and redis.call("HKEYS", KEYS[6]) or {}) do
    if num(string.match(field, "%d+")) <= slot - SLOTS then redis.call("HDEL", KEYS[6], field) end
  end
end

-- seen returns the calls of the last slots, and how many of them were bad, since the breaker last
-- moved.
local function seen(slots)
  local ok, bad = 0, 0
  for field, value in pairs(hash(KEYS[6])) do
    local at, what = string.match(field, "(%d+):(%a+)")
    if num(at) > math.floor(now / SLOT) - slots and at * SLOT >= num(lane.changed) then
      if what == "ok" then ok = ok + value elseif what == "bad" then bad = bad + value end
    end
  end
  return ok + bad, bad
end

-- worse returns whether so many bad calls are more than the lane's own usual share explains.
local function worse(normal, n, bad)
  local most = normal + 0.1 + 5 * math.sqrt(normal * (1 - normal) / math.max(n, 1))
  return n >= VOLUME and bad >= 5 and bad / n > math.min(most, 0.9)
end

-- judge returns whether the breaker opens: after failures in a row, or too many in the window or
-- its last two slots. Five in a row, but more where the lane is known to fail so often that five
-- are no news. It learns what is usual, fast at first: of a row of failures only the first counts,
-- so that outages are not.
local function judge()
  local normal, known, row = num(lane.normal), num(lane.known), num(lane.row)
  row = outcome == "bad" and row + 1 or 0
  local most = known < 200 and 5 or math.max(5, math.ceil(math.log(1e-6) / math.log(normal)))
  local trips = row >= most or row > 0 and (worse(normal, seen(SLOTS)) or worse(normal, seen(2)))
  if row <= 1 then
    normal, known = normal + (row - normal) / (known + 50), math.min(known + 1, 2000)
  end
  redis.call("HSET", KEYS[2], "row", row, "known", known, "normal", math.min(math.max(normal, 0.01), 0.5))
  return trips
end

-- down returns 1 if the call failed as the one before it did, or while the breaker was open.
local function down()
  return outcome == "bad" and (num(lane.open_until) > 0 or num(lane.row) > 0) and 1 or 0
end

-- ramp lets more through with each success while traffic is being brought back.
local function ramp()
  if not lane.ramp then return end
  local most = num(lane.ramp)
  most = outcome == "ok" and most + 1 or math.max(1, math.floor(most / 2))
  if most > RAMPED then redis.call("HDEL", KEYS[2], "ramp") else redis.call("HSET", KEYS[2], "ramp", most) end
end

-- open opens the breaker: for twice as long as the last time, unless that is long ago.
local function open()
  local number = 1
  if now < num(lane.changed) + FORGIVEN then number = num(lane.opened) + 1 end
  local length = math.min(ARGV[12] * 2 ^ math.min(number - 1, 30), ARGV[13])
  redis.call("HSET", KEYS[2], "opened", number, "open_until", int(now + length), "changed", int(now), "row", 0)
  redis.call("HDEL", KEYS[2], "ramp", "prober", "probe_until")
  return {1, number, int(length), down(), debt(now)}
end

-- A gate is kept also where nothing is built, and whatever became of the permit.
shut(pool, num(ARGV[5]), now)
redis.call("PEXPIRE", KEYS[1], ARGV[8])
finish(ARGV[14])
local permit = hash(KEYS[5])
if redis.call("DEL", KEYS[5]) == 0 then return {0, 0, 0, 0, debt(now)} end
redis.call("ZREM", KEYS[3], call)
redis.call("ZREM", KEYS[4], call)
if not (pool.built and lane.built) then return {1, 0, 0, down(), debt(now)} end
correct(permit)
learn()
if outcome ~= "unsent" then note() end
-- What was sent before the breaker last moved says nothing of how things are since.
local counts = (outcome == "ok" or outcome == "bad") and ARGV[14] == "" and num(lane.open_until) == 0
  and num(permit.at) >= num(lane.changed)
if not counts then return {1, 0, 0, down(), debt(now)} end
if judge() then return open() end
ramp()
return {1, 0, 0, down(), debt(now)}
