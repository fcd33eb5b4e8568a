package run

import (
	"context"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// claimPatience is how long a task that cannot be claimed is held. Then the
// queue may forget it, so that the reconciler sees that nobody runs it.
const claimPatience = 10 * time.Second

// doubts are the claims of this worker of which nobody knows whether they were
// kept. One that was, and that the worker forgot, would run nowhere as long as
// the worker lives.
type doubts struct {
	mu     sync.Mutex
	claims []jobs.Claim
	// added holds a token when there may be something to clear up.
	added chan struct{}
}

func newDoubts() *doubts { return &doubts{added: make(chan struct{}, 1)} }

func (d *doubts) add(c jobs.Claim) {
	d.mu.Lock()
	d.claims = append(d.claims, c)
	d.mu.Unlock()
	select {
	case d.added <- struct{}{}:
	default:
	}
}

func (d *doubts) any() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.claims) > 0
}

func (d *doubts) first() (jobs.Claim, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.claims) == 0 {
		return jobs.Claim{}, false
	}
	return d.claims[0], true
}

func (d *doubts) drop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.claims = d.claims[1:]
}

// clearUp undoes claims in doubt until the worker stops: then retiring does so.
func (r *Runner) clearUp(ctx context.Context) {
	ctx, cancel := r.untilDraining(ctx)
	defer cancel()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.doubts.added:
		}
		for c, ok := r.doubts.first(); ok; c, ok = r.doubts.first() {
			if err := r.disclaim(ctx, c); unavailable(err) {
				return // the worker stops
			}
			r.doubts.drop()
		}
	}
}

// disclaim undoes a claim, however often that must be tried.
func (r *Runner) disclaim(ctx context.Context, c jobs.Claim) error {
	err := r.persist(ctx, "undo a claim in doubt", func(ctx context.Context) error {
		return r.cfg.Store.Disclaim(ctx, c)
	})
	if err == nil {
		r.signal(ctx, jobs.Signal{Kind: jobs.SignalReady})
	}
	return err
}

// undo tries once to undo each claim in doubt. It returns an error when the store
// is not reached; what the store refuses is left.
func (r *Runner) undo(ctx context.Context) error {
	for c, ok := r.doubts.first(); ok; c, ok = r.doubts.first() {
		if err := r.cfg.Store.Disclaim(ctx, c); unavailable(err) {
			return err
		}
		r.doubts.drop()
	}
	return nil
}
