package lane

import (
	"context"
	"fmt"
)

// What an operator does is in the store first, and holds for the fleet from the
// moment these return nil. After an error it may hold or not: it is repeated.
// Running calls go on. A lane without a target is its whole pool.

// Pause admits nothing to the lane until Resume; jobs wait for it.
func (l *Lanes) Pause(ctx context.Context, lane Lane) error { return l.hold(ctx, lane, HoldPaused) }

// Drain admits nothing to the lane until Resume; jobs go elsewhere.
func (l *Lanes) Drain(ctx context.Context, lane Lane) error { return l.hold(ctx, lane, HoldDrained) }

// Resume ends what Pause or Drain began. What was done to the pool and to the
// lane is ended each for itself.
func (l *Lanes) Resume(ctx context.Context, lane Lane) error { return l.hold(ctx, lane, NoHold) }

func (l *Lanes) hold(ctx context.Context, lane Lane, h Hold) error {
	if err := l.store.KeepHold(ctx, lane, h); err != nil {
		return fmt.Errorf("hold %s: %w", lane.name(), err)
	}
	return l.forget(ctx, lane)
}

// SetLimits replaces the configuration's limits of a pool, until it is given nil.
func (l *Lanes) SetLimits(ctx context.Context, pool string, limits *Limits) error {
	if limits != nil {
		if err := limits.check(); err != nil {
			return fmt.Errorf("set limits of pool %q: %w", pool, err)
		}
	}
	if err := l.store.KeepLimits(ctx, pool, limits); err != nil {
		return fmt.Errorf("set limits of pool %q: %w", pool, err)
	}
	return l.forget(ctx, Lane{Pool: pool})
}
