package control

import (
	"context"
	"fmt"
	"time"
)

const (
	retainEvery = time.Hour
	// retainTimeout leaves room for deleting much.
	retainTimeout = 10 * time.Minute
)

// retention deletes what is past its retention, under a lease. It is no part of
// the upkeep, which must not wait for it.
type retention struct {
	c     *Controller
	lease *lease
	// looked is when this process last looked for what is past its retention. A
	// look that failed counts: it may have held others up.
	looked time.Time
}

func (r *retention) step(ctx context.Context) error {
	held, err := r.lease.hold(ctx)
	if err != nil || !held || time.Since(r.looked) < retainEvery {
		return err
	}
	r.looked = time.Now()
	n, err := r.c.cfg.Store.Retain(ctx, r.c.cfg.Retention, r.looked.UTC())
	if n > 0 {
		r.c.cfg.Observer.deleted(n)
	}
	if err != nil {
		return fmt.Errorf("delete what is past its retention: %w", err)
	}
	return nil
}
