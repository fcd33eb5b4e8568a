package control

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

const expireBatch = 500

// expire ends the jobs whose deadline has passed, in batches until there is
// none. Every process does so without a lease: a look that finds nothing is one
// look into an index, and a deadline does not wait for a lease to run out.
func (c *Controller) expire(ctx context.Context) error {
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
		if len(x.Ended) < expireBatch {
			return nil
		}
	}
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
