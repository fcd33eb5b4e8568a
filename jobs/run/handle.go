package run

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/backoff"
)

// Handle runs one task: claim, call, decide, record. It returns when all of it
// is recorded, or is known to be somebody else's; the end of ctx plays no part.
func (r *Runner) Handle(ctx context.Context, task jobs.Task) {
	ctx, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	calling, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	// Registered before the claim: a cancel between the two is not lost.
	defer r.running.add(&running{task: task, stop: stop, abort: abort})()

	c, work, err := r.claim(ctx, task)
	if err != nil {
		return
	}
	r.record(ctx, work, r.carryOut(calling, work, c.At))
}

// claim makes the task this worker's. While the store is away it goes on
// trying for claimPatience, then it lets the task go. A claim may have been kept
// although its answer was lost, and may have become stale since: clearUp undoes
// it. It gives up when the worker stops: retiring gives back what is held.
func (r *Runner) claim(ctx context.Context, task jobs.Task) (jobs.Claim, jobs.Work, error) {
	ctx, cancel := r.untilDraining(ctx)
	defer cancel()
	ctx, late := context.WithTimeout(ctx, claimPatience)
	defer late()
	for r.stale() {
		if err := backoff.Wait(ctx, r.cfg.Pace.Beat/4); err != nil {
			return jobs.Claim{}, jobs.Work{}, err
		}
	}
	call, err := uuid.NewV7()
	if err != nil {
		r.cfg.Observer.error(fmt.Errorf("make an id for a call: %w", err))
		return jobs.Claim{}, jobs.Work{}, err
	}
	c := jobs.Claim{Task: task, Worker: r.cfg.Worker.ID, Call: call}
	var work jobs.Work
	doubtful := false
	err = r.persist(ctx, "claim a task", func(ctx context.Context) (err error) {
		c.At = time.Now().UTC()
		work, err = r.cfg.Store.Claim(ctx, c)
		doubtful = doubtful || unavailable(err)
		return err
	})
	if err != nil && doubtful {
		r.doubts.add(c)
	}
	return c, work, err
}

// untilDraining returns a context that ends also when the worker stops.
func (r *Runner) untilDraining(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-r.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}
