package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	expireBatch = 500
	// expireApart is the least time between two looks: jobs whose deadlines follow
	// closer upon each other end together.
	expireApart = 100 * time.Millisecond
)

// expiry ends the jobs whose deadline has passed. Every process does so without a
// lease: a look that finds nothing is one look into an index, and a deadline
// does not wait for a lease to run out.
type expiry struct {
	c *Controller
	// next is the earliest deadline that the last look saw; zero: none.
	next time.Time
}

// step ends what is due, in batches until there is none.
func (e *expiry) step(ctx context.Context) error {
	c := e.c
	for {
		x, err := c.cfg.Store.Expire(ctx, time.Now().UTC(), expireBatch)
		if err != nil {
			return fmt.Errorf("expire up to %d jobs: %w", expireBatch, err)
		}
		if len(x.Ended) > 0 {
			c.cfg.Observer.expired(len(x.Ended))
			c.ended(ctx, x.Ended)
		}
		c.stopped(ctx, x.Stopped)
		e.next = x.Next
		if len(x.Ended) == 0 {
			return nil
		}
	}
}

// wait returns how long until the next look: until the next deadline, so that it
// is kept to the moment, unless the usual interval ends before; a job with a
// nearer deadline may come at any time.
func (e *expiry) wait(usual time.Duration) time.Duration {
	if e.next.IsZero() {
		return usual
	}
	return min(usual, max(expireApart, time.Until(e.next)))
}

// stopped tells the workers that calls serve nobody any more, and the
// dispatcher that their places are free.
func (c *Controller) stopped(ctx context.Context, tasks []jobs.Task) {
	if len(tasks) == 0 {
		return
	}
	for some := range slices.Chunk(tasks, signalIDs) {
		ids := make([]uuid.UUID, len(some))
		for i, t := range some {
			ids[i] = t.Execution
		}
		c.signal(ctx, jobs.Signal{Kind: jobs.SignalStopped, Executions: ids})
	}
	c.ready(ctx)
}
