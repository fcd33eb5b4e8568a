package courier

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

const (
	// writeEvery is how often a state is kept of which nobody need know yet.
	writeEvery = 10 * time.Second
	// failedWrite is how soon it is tried again to keep a state.
	failedWrite = 500 * time.Millisecond
)

// writer is what a turn knows of how its endpoint's state is kept.
type writer struct {
	// kept is the state that the store has.
	kept delivery.State
	// pending is what has to be kept beside the state, and urgent says that that may
	// not wait.
	pending delivery.StateChange
	urgent  bool
	// writing says that a write is under way, wrote when the last one began, and
	// writeAfter when the next may.
	writing           bool
	wrote, writeAfter time.Time
	// disabling says that the endpoint is disabled, or will have been.
	disabling bool
}

// saved is what became of a write. State is as the turn had it.
type saved struct {
	change delivery.StateChange
	state  delivery.State
	err    error
}

// unwritten reports whether there is something to keep before the endpoint is given up.
func (t *turn) unwritten() bool { return t.urgent || worthKeeping(t.kept, t.fares.State) }

// write keeps the state if it is time to. Before the store hears of an opening it must
// know of the attempts that led to it: it changes when their deliveries are due.
func (t *turn) write(ctx context.Context, now time.Time) {
	due := t.urgent || t.unwritten() && (t.leaving || now.Sub(t.wrote) >= writeEvery)
	switch {
	case !due, t.writing, t.lost, now.Before(t.writeAfter), !t.lastsFor(0, now):
		return
	case t.pending.Opened && t.unrecorded > 0:
		return
	}
	change := t.pending
	state := t.fares.State
	change.Endpoint, change.State, change.At = t.id, stamped(state), stamp(now)
	t.pending, t.urgent, t.writing, t.wrote = delivery.StateChange{}, false, true, now
	t.c.background.Go(func() {
		_, err := within(ctx, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, t.c.cfg.Store.SaveState(ctx, t.c.cfg.Holder, change)
		})
		t.mail.post(func(to *letters) { to.saved = &saved{change, state, err} })
	})
}

// written takes note of a write. What failed is tried again.
func (t *turn) written(ctx context.Context, s saved, now time.Time) {
	t.writing = false
	if t.c.reached(s.err); s.err == nil {
		if t.kept = s.state; s.change.Disable != "" {
			poke(t.c.swept) // what is pending is skipped
		}
		return
	}
	t.c.report(ctx, fmt.Errorf("keep the state of endpoint %s: %w", t.id, s.err))
	t.writeAfter, t.urgent = now.Add(failedWrite), true
	t.pending.Opened = t.pending.Opened || s.change.Opened
	t.pending.Disable = cmp.Or(t.pending.Disable, s.change.Disable)
	t.pending.Events = append(s.change.Events, t.pending.Events...)
}

// stamped is a state as stores keep it.
func stamped(s delivery.State) delivery.State {
	for _, t := range []*time.Time{&s.PausedUntil, &s.PacedUntil, &s.OpenUntil, &s.RampSince, &s.FailingSince, &s.LastSuccess} {
		if !t.IsZero() {
			*t = stamp(*t)
		}
	}
	return s
}
