package dispatch

import (
	"context"
	"fmt"
	"time"
)

const (
	// unparkBatch is how many executions are brought back at once, and
	// unparkPause the least time between two batches: those whose turn it is do
	// not wait for those whose time has come.
	unparkBatch = 500
	unparkPause = 20 * time.Millisecond
)

// unpark brings back executions whose time has come, if it is time to ask for
// them. What is given back meanwhile, and WakeAt is not told of, is noticed within
// Pace.Poll.
func (d *Dispatcher) unpark(ctx context.Context) error {
	now := time.Now()
	if expected := d.expected.Swap(0); expected != 0 {
		d.unparkAt = earlier(d.unparkAt, time.Unix(0, expected))
	}
	if now.Before(d.unparkAt) {
		return nil
	}
	n, next, err := d.cfg.Store.Unpark(ctx, now.UTC(), unparkBatch)
	if err != nil {
		return fmt.Errorf("bring back what is due: %w", err)
	}
	d.unparkAt, d.waiting = now.Add(d.cfg.Pace.Poll), n == unparkBatch || !next.IsZero()
	if n == unparkBatch {
		next = now
	}
	if soonest := now.Add(unparkPause); !next.IsZero() && next.Before(d.unparkAt) {
		d.unparkAt = later(next, soonest)
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
