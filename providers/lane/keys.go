package lane

import "github.com/google/uuid"

// All keys of a pool are in one slot of a Redis Cluster: its name is their hash
// tag. Each key goes after [idle] without use: the rest is in the store.

func key(pool, part string) string { return "penstock:lane:{" + pool + "}:" + part }

// poolKey is a hash with the marker built, the gate, the hold, the operator's
// limits, and the meters of the limits.
func poolKey(pool string) string { return key(pool, "pool") }

// laneKey is a hash with the marker built, the hold, the breaker, what was
// learned of the provider's limits, and their meters.
func laneKey(l Lane) string { return key(l.Pool, "lane:"+l.Target) }

// permitsKey is a sorted set of the calls under way in a pool, by when their
// permits lapse.
func permitsKey(pool string) string { return key(pool, "permits") }

// lanePermitsKey is the same of one lane.
func lanePermitsKey(l Lane) string { return key(l.Pool, "permits:"+l.Target) }

// windowKey is a hash of the outcomes of a lane's last minute.
func windowKey(l Lane) string { return key(l.Pool, "window:"+l.Target) }

// callKey is a hash of what a permit has reserved. It goes when the permit does.
func callKey(pool string, call uuid.UUID) string { return key(pool, "call:"+call.String()) }

// buildKey is a number that changes whenever what the store says changes, so
// that nothing is rebuilt from what was read before.
func buildKey(pool string) string { return key(pool, "build") }
