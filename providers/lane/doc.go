// Package lane is the permission to send a call to a provider: limits, the gate
// that a hint shuts, and a breaker, one for the whole fleet.
//
// A lane is a target in its quota pool. What is metered together, and the gate,
// are the pool's; the breaker is the target's. All of it is decided in Redis, in
// one script for a call's admission and one for its settlement, by Redis' own
// clock. What must outlive Redis is also in a [Store]: when Redis has lost a
// lane, nothing is admitted to it until it was rebuilt from there.
//
// What makes a lane quicker or calmer, and nothing worse when it is gone, is in
// Redis alone: what share of calls usually fails, the ramps after a gate and a
// breaker, the last minute's outcomes, how much of the requests' limit is used, and
// the limits that a provider told of. All that is known again after some calls.
package lane
