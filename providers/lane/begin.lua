-- Begins a rebuild.
--
-- KEYS  1 build
-- ARGV  1 a number nobody else has, 2 idle ms
-- Returns the number that the rebuild must end with: while it stands, neither Redis has lost
-- anything nor an operator has changed anything.
redis.call("SET", KEYS[1], ARGV[1], "NX")
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return redis.call("GET", KEYS[1])
