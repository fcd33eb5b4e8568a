-- What the scripts share; it stands before each of them.
-- All times are microseconds, by Redis' own clock.

local MINUTE = 60 * 1000000

local function clock()
  local t = redis.call("TIME")
  return t[1] * 1000000 + t[2]
end

-- int writes a number whole: Lua itself would write 1.7e+15.
local function int(n) return string.format("%.0f", n) end

local function num(s) return tonumber(s) or 0 end

-- hash returns the fields of the hash at key.
local function hash(key)
  local flat, fields = redis.call("HGETALL", key), {}
  for i = 1, #flat, 2 do fields[flat[i]] = flat[i + 1] end
  return fields
end

-- PACED is after how many calls that were let through nothing is held back any more. LONG is how long
-- a gate is shut, in µs, that is more than a passing "not now".
local PACED, LONG = 256, 2500000

-- shut shuts the pool's gate for so long at least. When it was for long, calls are let through by and by
-- when it opens: at first as fast as after half of those that were let through since it opened last.
local function shut(pool, wait, now)
  local gate, paced = now + wait, num(pool.paced)
  if wait <= 0 or gate <= num(pool.gate) then return end
  if num(pool.gate) <= now then paced = math.floor(paced / 2) end
  redis.call("HSET", KEYS[1], "gate", int(gate))
  if wait >= LONG or pool.pace_next then
    redis.call("HSET", KEYS[1], "paced", paced, "pace_next", int(gate))
  end
end

-- limits returns requests, input and output tokens a minute, and concurrency, as
-- the operator says, else as "r i o c" in configured says.
local function limits(pool, configured)
  local r, i, o, c = string.match(pool.limits or configured, "(%d+) (%d+) (%d+) (%d+)")
  return {requests = num(r), input = num(i), output = num(o), concurrency = num(c)}
end

-- meters lists what limits a call, each with the field that says until when the limit is used
-- up, and how long one of what it counts uses it up for. What was reserved and not used is spare,
-- the field name .. "_spare": it uses up the limit of no time. The pool's are those in bounds, the lane's
-- what was learned.
local function meters(pool, lane, bounds, now)
  local list = {}
  local function add(key, fields, name, rate)
    if rate > 0 then
      list[#list + 1] = {
        key = key, name = name, each = MINUTE / rate, full = num(fields[name]), spare = num(fields[name .. "_spare"]),
      }
    end
  end
  for _, name in ipairs({"requests", "input", "output"}) do add(KEYS[1], pool, name, bounds[name]) end
  if num(lane.learned_until) > now then
    for _, name in ipairs({"requests", "input", "output", "tokens"}) do
      add(KEYS[2], lane, name, num(lane["limit_" .. name]))
    end
  end
  return list
end

-- charge makes the call use up the limit for the given time, first of what is spare.
local function charge(m, cost, now)
  if cost <= 0 then return end
  local spare = math.min(m.spare, cost)
  redis.call("HSET", m.key, m.name, int(math.max(m.full, now) + cost - spare), m.name .. "_spare", int(m.spare - spare))
end

-- credit gives time back. What of it is past already is spare, up to a minute.
local function credit(m, back, now)
  if back <= 0 then return end
  local spare = math.max(back - math.max(m.full - now, 0), 0)
  redis.call("HSET", m.key, m.name, int(m.full - back + spare), m.name .. "_spare", int(math.min(m.spare + spare, MINUTE)))
end

-- debt returns for how long the tokens of the pool are used up.
local function debt(now)
  local full = redis.call("HMGET", KEYS[1], "input", "output")
  return int(math.max(num(full[1]), num(full[2]), now) - now)
end

-- uses returns what a call uses of each meter, by name.
local function uses(requests, input, output)
  return {requests = requests, input = input, output = output, tokens = input + output}
end

-- count returns how many permits of the set have not lapsed, and forgets the rest.
local function count(key, now)
  redis.call("ZREMRANGEBYSCORE", key, "-inf", int(now))
  return redis.call("ZCARD", key)
end
