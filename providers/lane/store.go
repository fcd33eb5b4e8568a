package lane

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Store keeps what must outlive Redis. Each method is one transaction, durable
// when it returns nil. What a store is, is what storage/storagetest says.
//
// Times are durations from now, by the store's own clock: clocks need not agree.
type Store interface {
	// Lane returns what is kept of a lane, its pool and its provider's calls.
	Lane(ctx context.Context, l Lane) (Kept, error)
	// KeepGate shuts a pool's gate for the given time, unless it is shut for
	// longer. What a pool owes of tokens is kept as a gate, too, of a pool that is
	// not there: see debtOf.
	KeepGate(ctx context.Context, pool string, wait time.Duration) error
	// KeepOpening notes that a lane's breaker is open, unless a probe of it is
	// under way.
	KeepOpening(ctx context.Context, l Lane, o Opening) error
	// TakeProbe makes the call the lane's probe for the given time, and reports
	// whether it is. It is not when another call is and its time is not over.
	TakeProbe(ctx context.Context, l Lane, call uuid.UUID, lease time.Duration) (bool, error)
	// EndProbe ends a probe if the call is the lane's, and reports whether it was.
	// The breaker is then as next says: open, or closed when Number is zero.
	EndProbe(ctx context.Context, l Lane, call uuid.UUID, next Opening) (bool, error)
	// KeepHold replaces what an operator holds: the lane, or the whole pool when
	// the lane has no target.
	KeepHold(ctx context.Context, l Lane, h Hold) error
	// KeepLimits replaces an operator's limits of a pool; nil takes them away.
	KeepLimits(ctx context.Context, pool string, limits *Limits) error
}

// Kept is what a store keeps of a lane. What is over is zero in it.
type Kept struct {
	// Gate is for how long the pool's gate is shut.
	Gate time.Duration
	// PoolHold and Hold are an operator's, of the pool and of the lane.
	PoolHold, Hold Hold
	// Limits are an operator's; nil: those of the configuration count.
	Limits *Limits
	// Opening is the breaker's; its Number is zero when it is closed.
	Opening Opening
	// Prober is the call that probes the lane, for ProbeFor more.
	Prober   uuid.UUID
	ProbeFor time.Duration
	// Calls are those that living workers have under way at the pool's provider,
	// or are about to send.
	Calls []OpenCall
}

// Opening is a breaker that is open.
type Opening struct {
	// Number counts the openings in a row, from 1.
	Number int
	// For is how long it stays open before a probe is let through.
	For time.Duration
}

// OpenCall is a call that has no outcome yet.
type OpenCall struct {
	Call   uuid.UUID
	Target string
}

// Hold is what an operator has done to a lane or a pool.
type Hold string

// What an operator can do.
const (
	// NoHold: nothing.
	NoHold Hold = ""
	// HoldPaused keeps jobs waiting for the lane.
	HoldPaused Hold = Hold(Paused)
	// HoldDrained lets jobs go elsewhere.
	HoldDrained Hold = Hold(Drained)
)
