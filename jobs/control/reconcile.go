package control

import (
	"context"
	"fmt"
	"time"
)

const (
	// unclaimedFor is how long a release may go unclaimed before the queue is
	// asked about it: long enough for the dispatcher to have enqueued it. Nothing
	// goes wrong if it is too short, since a release that was taken back cannot
	// be claimed any more.
	unclaimedFor = 1500 * time.Millisecond
	// unclaimedLimit is beyond what a fleet has released at once, so that tasks
	// that wait in the queue in good order do not hide lost ones behind them.
	unclaimedLimit = 10_000
)

// reconciler takes back releases that the queue lost. Being old proves
// nothing: only what the queue says it will never hand out is taken back.
type reconciler struct {
	c     *Controller
	lease *lease
}

// step looks first and takes the lease only when there is something to ask the
// queue about: most of the time there is not, and a lease is a write.
func (r *reconciler) step(ctx context.Context) error {
	store := r.c.cfg.Store
	old, err := store.Unclaimed(ctx, time.Now().UTC().Add(-unclaimedFor), unclaimedLimit)
	if err != nil {
		return fmt.Errorf("list unclaimed releases: %w", err)
	}
	if len(old) == 0 {
		return nil
	}
	if held, err := r.lease.hold(ctx); err != nil || !held {
		return err
	}
	missing, err := r.c.cfg.Queue.Missing(ctx, old)
	if err != nil {
		r.lease.release(ctx) // another may reach the queue
		return fmt.Errorf("ask the queue for %d tasks: %w", len(old), err)
	}
	if len(missing) == 0 {
		return nil
	}
	n, err := store.Requeue(ctx, missing)
	if err != nil {
		return fmt.Errorf("take back %d releases: %w", len(missing), err)
	}
	if n > 0 {
		r.c.cfg.Observer.requeued(n)
		r.c.ready(ctx)
	}
	return nil
}
