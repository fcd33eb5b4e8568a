package keeper

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/backoff"
)

// A batch rests between two looks at its jobs: leastRest, and restEach longer for each of
// them, which a look costs, but mostRest at most.
const (
	leastRest = 20 * time.Millisecond
	restEach  = 200 * time.Microsecond
	mostRest  = 250 * time.Millisecond
)

// trouble is how long a batch rests that could not be worked on.
var trouble = backoff.Policy{Base: 200 * time.Millisecond, Cap: 30 * time.Second}

// turn is the work on one batch while this process holds it. What is below batch belongs
// to the goroutine in run.
type turn struct {
	k  *Keeper
	id uuid.UUID
	// wake has something in it when there may be something to do.
	wake chan struct{}
	// changed says that somebody changed the batch, lost that the lease is over.
	changed, lost atomic.Bool
	// asked is when the lease was asked for last.
	asked atomic.Pointer[time.Time]
	// next is the turn of a new lease, which begins when this one has ended. It belongs to
	// who has the keeper's mutex.
	next *turn

	// input is what lines are read from, nil while it is not open. The goroutine in run sets it.
	input atomic.Pointer[input]

	batch batches.Batch
	rate  rate
	// keeps says that the input stays open while there are lines to be fed.
	keeps bool
	// over says that the batch has ended, or was given up.
	over bool
}

func newTurn(k *Keeper, b batches.Batch, asked time.Time) *turn {
	t := &turn{k: k, id: b.ID, wake: make(chan struct{}, 1), batch: b}
	t.asked.Store(&asked)
	return t
}

// change says that the batch was changed.
func (t *turn) change() {
	t.changed.Store(true)
	t.interrupt()
}

// lose says that the lease is over.
func (t *turn) lose() {
	t.lost.Store(true)
	t.interrupt()
}

// interrupt ends what the turn waits for.
func (t *turn) interrupt() {
	if in := t.input.Load(); in != nil {
		in.end()
	}
	poke(t.wake)
}

// holds reports whether the lease is surely held.
func (t *turn) holds() bool { return !t.lost.Load() && time.Since(*t.asked.Load()) < safeFor }

// run works on the batch until it has ended, the lease is lost or ctx ends.
func (t *turn) run(ctx context.Context) {
	defer t.closeInput()
	known := false
	for failures := 0; ctx.Err() == nil && !t.over; {
		var err error
		if !known {
			err = t.guarded(ctx, t.learn)
			known = err == nil
		}
		if err == nil {
			err = t.guarded(ctx, t.step)
		}
		switch {
		case errors.Is(err, batches.ErrNotHeld), errors.Is(err, jobs.ErrNotFound), t.lost.Load():
			t.lose()
			return
		case err != nil && ctx.Err() == nil:
			t.k.report(ctx, fmt.Errorf("batch %s: %w", t.id, err))
			t.pause(ctx, trouble.Equal(failures))
			failures++
		default:
			failures = 0
			t.rest(ctx)
		}
	}
}

// guarded does something, and makes a panic in it an error.
func (t *turn) guarded(ctx context.Context, do func(context.Context) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			t.k.cfg.Observer.panicked(t.id, v, debug.Stack())
			err = errors.New("a panic, told of apart")
		}
	}()
	return do(ctx)
}

// pause waits for so long, or until the batch is changed or lost: one that is cancelled
// has jobs that may begin.
func (t *turn) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for !t.changed.Load() && !t.lost.Load() {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			return
		case <-t.wake:
		}
	}
}

// enter waits to be let in by s; false: the batch was changed meanwhile.
func (t *turn) enter(ctx context.Context, s semaphore) (in bool, err error) {
	for !t.changed.Load() && !t.lost.Load() {
		select {
		case s <- struct{}{}:
			return true, nil
		case <-t.wake:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	return false, nil
}

// rest waits until there may be something to do.
func (t *turn) rest(ctx context.Context) {
	if t.changed.Load() || t.over {
		return
	}
	poll := time.NewTimer(t.k.poll())
	defer poll.Stop()
	select {
	case <-ctx.Done():
		return
	case <-poll.C:
		return
	case <-t.wake:
	}
	if !t.changed.Load() { // jobs have ended: more will have in a moment
		_ = backoff.Wait(ctx, min(leastRest+time.Duration(t.batch.Counts.Live)*restEach, mostRest)) // ends early only with ctx, which the caller looks at
	}
}

// poll is how often a batch is looked at of which no signal tells: the less often, the
// more are held.
func (k *Keeper) poll() time.Duration {
	const each = 100
	return k.cfg.Poll * time.Duration(1+len(k.held())/each)
}

// step does what there is to do. It returns nil to be called again after a rest, or at
// once if the batch was changed.
func (t *turn) step(ctx context.Context) error {
	t.changed.Store(false)
	if err := t.collect(ctx); err != nil {
		return err
	}
	switch b := t.batch; {
	case b.Status.Terminal():
		t.over = true
		return nil
	case b.Status == batches.StatusCancelling:
		return t.then(ctx, t.cancel)
	case b.Status == batches.StatusValidating:
		return t.then(ctx, t.ingest)
	case b.Counts.Pending+b.Counts.Live == 0:
		return t.end(ctx)
	case !time.Now().Before(b.Deadline):
		return t.then(ctx, t.expire)
	case b.Paused && b.Counts.Live == 0:
		return t.giveUp(ctx)
	case b.Paused:
		return t.then(ctx, t.withdraw)
	default:
		return t.then(ctx, t.feed)
	}
}

// then does something, looks what has come of it, and ends the batch if that was all.
func (t *turn) then(ctx context.Context, do func(context.Context) error) error {
	if err := do(ctx); err != nil || t.over {
		return err
	}
	if err := t.collect(ctx); err != nil {
		return err
	}
	if t.batch.Counts.Pending+t.batch.Counts.Live == 0 && t.batch.Status != batches.StatusValidating {
		return t.end(ctx)
	}
	return nil
}
