package latency

import "strconv"

// place is a slot of a pool: one key in Redis.
type place struct {
	pool string
	slot int64
}

// key is a hash of what each process observed in a slot, by its name. It
// expires when no window reaches back to it. All keys of a pool are in one slot
// of a Redis Cluster.
func (p place) key() string {
	return "penstock:latency:{" + p.pool + "}:" + strconv.FormatInt(p.slot, 10)
}
