-- Admits one call, or says why not and for how long.
--
-- KEYS  1 pool, 2 lane, 3 permits of the pool, 4 permits of the lane, 5 call
-- ARGV  1 call, 2 input tokens, 3 output tokens, 4 limits of the configuration "r i o c",
--       5 burst µs, 6 lease ms, 7 idle ms, 8 poll µs, 9 how long the call, if it is the probe,
--       keeps others from being it µs
-- Returns {"admitted", "" | "probe", number of the opening, debt µs} or {reason, µs}; {"unbuilt"} when the
-- pool or the lane must be rebuilt first. A probe is one only once the store says so too.
-- All of it is atomic: a call is counted by all limits or by none.

local call, poll = ARGV[1], ARGV[8]
local now, pool, lane = clock(), hash(KEYS[1]), hash(KEYS[2])
if not (pool.built and lane.built) then return {"unbuilt"} end

-- A permit that reserved nothing was rebuilt from the call's row: the call asks, so it is not sent.
local charged = redis.call("HEXISTS", KEYS[5], "charged") == 1
if not charged and redis.call("DEL", KEYS[5]) == 1 then
  redis.call("ZREM", KEYS[3], call)
  redis.call("ZREM", KEYS[4], call)
end

local hold = pool.hold or lane.hold
if hold then return {hold, poll} end

local gate = num(pool.gate)
if gate > now then return {"rate_limit", int(gate - now)} end

-- When the gate has opened, nobody knows how much the provider lets through. Each call comes sooner
-- than the one before it: twice as many with each second in which nobody is told to wait again. With
-- none before it the first is alone for a second. After PACED calls there is no such bound.
local paced, pacing, step = num(pool.paced), pool.pace_next, 0
if pacing then step = 1000000 * math.log((paced + 2) / (paced + 1)) / math.log(2) end

local function full(key, most) return not charged and count(key, now) >= most end

local probe, open = "", num(lane.open_until)
if open > 0 then
  if open > now then return {"breaker", int(open - now)} end
  if lane.prober ~= call and num(lane.probe_until) > now then
    return {"breaker", int(math.min(num(lane.probe_until) - now, poll))}
  end
  probe = "probe"
elseif lane.ramp and full(KEYS[4], num(lane.ramp)) then
  return {"breaker", poll}
end

local bounds = limits(pool, ARGV[4])
if bounds.concurrency > 0 and full(KEYS[3], bounds.concurrency) then return {"capacity", poll} end

-- turn returns how long to wait for a limit that is used up for that long at least: whoever asks is
-- given a turn of his own, up to AHEAD away, or all who wait would come at once and one be let in.
-- Those who wait for a limit of the lane take their turns among themselves.
local AHEAD = 5000000
local function turn(key, wait, cost)
  local at = math.max(num(redis.call("HGET", key, "turn")), now + wait)
  if at > now + wait + AHEAD then at = now + wait end
  redis.call("HSET", key, "turn", int(at + cost))
  return at - now
end

-- A limit that is not used up takes a call of any size, and is then used up for as long as that
-- lasts: for a minute at most, whatever was estimated. What uses none of it does not wait for it.
if not charged then
  local use, list = uses(1, num(ARGV[2]), num(ARGV[3])), meters(pool, lane, bounds, now)
  local key, wait, cost = KEYS[1], pacing and num(pacing) - now or 0, step
  for _, m in ipairs(list) do
    local left = m.full - now - ARGV[5]
    if use[m.name] > 0 and left > wait then
      key, wait, cost = m.key, left, math.min(m.each * use[m.name], MINUTE)
    end
  end
  if wait > 0 then return {"rate_limit", int(turn(key, wait, cost))} end
  for _, m in ipairs(list) do charge(m, math.min(m.each * use[m.name], MINUTE), now) end
  if paced < PACED then redis.call("HSET", KEYS[1], "paced", paced + 1) end
  if pacing and paced + 1 < PACED then
    redis.call("HSET", KEYS[1], "pace_next", int(now + step))
  elseif pacing then
    redis.call("HDEL", KEYS[1], "pace_next")
  end
end

if probe == "probe" then redis.call("HSET", KEYS[2], "prober", call, "probe_until", int(now + ARGV[9])) end
redis.call("HSET", KEYS[5], "charged", 1, "input", ARGV[2], "output", ARGV[3], "at", int(now))
redis.call("PEXPIRE", KEYS[5], ARGV[6])
redis.call("ZADD", KEYS[3], int(now + ARGV[6] * 1000), call)
redis.call("ZADD", KEYS[4], int(now + ARGV[6] * 1000), call)
for i = 1, 4 do redis.call("PEXPIRE", KEYS[i], ARGV[7]) end
return {"admitted", probe, lane.opened or "0", debt(now)}
