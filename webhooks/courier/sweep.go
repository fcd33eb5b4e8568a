package courier

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/jobs/backoff"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

const (
	// sweepAtOnce is how many pieces one call does.
	sweepAtOnce = 500
	// sweepRest is how many times as long as it took to find nothing it is left alone.
	sweepRest = 10
	// forgetEvery is how often what is past its retention is looked for.
	forgetEvery = time.Hour
)

// sweeps does what is left to do, again and again until ctx ends, and forgets what is old.
func (c *Courier) sweeps(ctx context.Context) {
	var forgot time.Time
	failures := 0
	for ctx.Err() == nil {
		began := time.Now()
		n, err := c.sweep(ctx)
		took := time.Since(began)
		if err == nil && time.Since(forgot) >= forgetEvery {
			forgot = time.Now()
			err = c.forget(ctx)
		}
		switch {
		case err != nil:
			c.report(ctx, err)
			failures++
			_ = backoff.Wait(ctx, outage.Equal(failures)) // ends early only with ctx, which the loop looks at
		case n > 0: // what was put back by a replay is due
			failures = 0
			c.Wake()
		default:
			failures = 0
			c.untilSweep(ctx, max(c.cfg.Poll, sweepRest*took))
		}
	}
}

func (c *Courier) untilSweep(ctx context.Context, rest time.Duration) {
	t := time.NewTimer(rest)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-c.swept:
	}
}

func (c *Courier) sweep(ctx context.Context) (int, error) {
	n, err := within(ctx, func(ctx context.Context) (int, error) {
		return c.cfg.Store.Sweep(ctx, stamp(time.Now()), sweepAtOnce)
	})
	if err != nil {
		return 0, fmt.Errorf("sweep deliveries: %w", err)
	}
	return n, nil
}

// forget is not bounded as other calls are: there may be much.
func (c *Courier) forget(ctx context.Context) error {
	if err := c.cfg.Store.ForgetDeliveries(ctx, stamp(time.Now().Add(-delivery.Retention))); err != nil {
		return fmt.Errorf("forget old deliveries: %w", err)
	}
	return nil
}
