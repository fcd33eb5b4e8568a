package lane

import (
	"cmp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/providers"
)

// Lane names a target and the quota pool it is metered in.
type Lane struct {
	// Pool is what a provider meters together: the provider's name, or
	// provider:group.
	Pool string
	// Target is provider/model.
	Target string
}

// name returns the target, or the pool when there is none.
func (l Lane) name() string { return cmp.Or(l.Target, l.Pool) }

// Provider returns the name of the pool's provider.
func (l Lane) Provider() string {
	provider, _, _ := strings.Cut(l.Pool, ":")
	return provider
}

// Groups names the pools of targets that a provider meters apart from its others:
// provider:group. Other targets are in the pool that has their provider's name.
type Groups map[string]string

// Lane returns the lane of a target, which is provider/model.
func (g Groups) Lane(target string) Lane {
	if pool, ok := g[target]; ok {
		return Lane{pool, target}
	}
	provider, _, _ := strings.Cut(target, "/")
	return Lane{provider, target}
}

// Limits bound what a pool is sent. A zero field is no bound.
type Limits struct {
	RequestsPerMinute     int64
	InputTokensPerMinute  int64
	OutputTokensPerMinute int64
	// Concurrency bounds the calls under way at once, over the fleet.
	Concurrency int64
}

// Ask asks to send one call.
type Ask struct {
	Lane
	// Call is the call's id. Its row is in the store before this is asked: that is
	// how the calls under way are known when Redis has lost them.
	Call uuid.UUID
	// Input and Output are the estimated tokens; zero is not metered.
	Input, Output int64
}

// Verdict says whether a call may be sent.
type Verdict struct {
	// Admitted says that it may, under Permit.
	Admitted bool
	Permit   Permit
	// Reason says why it may not, and For how long it is not worth asking again.
	// For is positive, and an estimate where nobody can know.
	Reason Reason
	For    time.Duration
}

// Reason is why a lane admits nothing just now.
type Reason string

// The reasons. Those of the API's waiting_on are spelt as there.
const (
	// RateLimit: the gate is shut by a hint, or a limit per minute is reached.
	RateLimit Reason = "rate_limit"
	// Breaker: the breaker is open, its probe is under way, or traffic is still
	// being brought back.
	Breaker Reason = "breaker"
	// Capacity: as many calls as may be are under way.
	Capacity Reason = "capacity"
	// Paused: an operator holds the lane; jobs wait for it.
	Paused Reason = "paused"
	// Drained: an operator has taken the lane away; jobs go elsewhere.
	Drained Reason = "drained"
	// Rebuilding: what Redis lost has not been read from the store yet.
	Rebuilding Reason = "rebuilding"
)

// Permit is leave to send one call. It is settled when the call has ended. It
// lapses [Config].Lease after it was given or last renewed.
type Permit struct {
	Lane
	Call uuid.UUID
	// Input and Output are the tokens reserved.
	Input, Output int64
	// Probe says that this call tests a lane that was shut. It must end within
	// Within, which is less than the time for which no other probe is let through.
	// Within is zero when Probe is false.
	Probe  bool
	Within time.Duration
	// Opening is how often in a row the breaker had opened when a probe was let
	// through.
	Opening int
}

// Result is what became of a call.
type Result struct {
	// Class is empty when the call succeeded. [providers.Cancelled] counts as
	// nothing.
	Class providers.Class
	// Unsent says that no request left: the whole reservation is given back and
	// nothing is counted.
	Unsent bool
	// Usage corrects the reservation. When it is not known the reservation stands,
	// but for a provider that refused the call at its door.
	Usage providers.Usage
	// Hint is how long the provider asked everybody to wait; zero if it did not.
	// It is clamped to [providers.MaxHint]; a negative one is none.
	Hint time.Duration
	// Quota is what the provider's headers told of its limits.
	Quota providers.Quota
	// Took is how long the call took; zero: not known. A breaker whose probe fails is
	// open again for as much less, but for its first opening at least: probes that
	// hang are made as often as those that fail at once.
	Took time.Duration
}
