package run

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// claimPatience is how long a task that cannot be claimed is held. Then the
// queue may forget it, so that the reconciler sees that nobody runs it.
const claimPatience = 10 * time.Second

// errDoubt says that a claim was found to have been kept when nobody waited for
// it any more.
var errDoubt = errors.New("the claim was known to be kept too late")

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

// clearUp clears doubts up until the worker stops: retiring gives back what it
// may still hold.
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
			if err := r.confirm(ctx, c); unavailable(err) {
				return // the worker stops
			}
			r.doubts.drop()
		}
	}
}

// confirm repeats a claim until its fate is known, and gives back what it has
// brought.
func (r *Runner) confirm(ctx context.Context, c jobs.Claim) error {
	var work jobs.Work
	err := r.persist(ctx, "claim a task", func(ctx context.Context) (err error) {
		work, err = r.cfg.Store.Claim(ctx, c)
		return err
	})
	if err != nil {
		return err
	}
	r.record(ctx, work, r.decide(work, r.route(work), attempt{begun: c.At, ended: time.Now().UTC(), held: errDoubt}))
	return nil
}
