package run

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/jobs/backoff"
)

// pulse remembers the worker's last successful beat.
type pulse struct {
	mu sync.Mutex
	// last is when the last successful beat was begun: it was alive then.
	last time.Time
	// number is that of the next beat.
	number int64
}

func (p *pulse) next() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.number++
	return p.number
}

func (p *pulse) succeeded(begun time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = begun
}

func (p *pulse) age() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.last)
}

// stale reports whether the last successful beat is so old that the worker may
// soon be declared dead: then it starts no call. What runs goes on.
func (r *Runner) stale() bool { return r.pulse.age() >= r.cfg.Pace.Stale }

// introduce sends the first beat, without which nothing can be claimed. It
// tries until it succeeds, or returns false when ctx ends.
func (r *Runner) introduce(ctx context.Context) bool {
	for n := 0; ctx.Err() == nil; n++ {
		err := r.beat(ctx)
		if err == nil {
			r.gate.set(true)
			return true
		}
		if n == 0 && ctx.Err() == nil {
			r.cfg.Observer.error(err)
		}
		_ = backoff.Wait(ctx, outage.Equal(n)) // ends early only with ctx, which the loop looks at
	}
	return false
}

// heartbeat beats at its pace until ctx ends, and reports the first of a row of
// failures. Tasks are taken as long as beats succeed and no claim is in doubt.
func (r *Runner) heartbeat(ctx context.Context) {
	tick := time.NewTicker(r.cfg.Pace.Beat)
	defer tick.Stop()
	failing := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := r.beat(ctx)
		if err != nil && !failing && ctx.Err() == nil {
			r.cfg.Observer.error(err)
		}
		failing = err != nil
		r.gate.set(!r.stale() && !r.doubts.any())
	}
}

// beat says that the worker lives, and cancels the calls that serve nobody.
func (r *Runner) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.Pace.Stale)
	defer cancel()
	w, begun := r.cfg.Worker, time.Now()
	w.Beat = r.pulse.next()
	obsolete, err := r.cfg.Store.Beat(ctx, w, r.running.tasks())
	if err != nil {
		return fmt.Errorf("beat: %w", err)
	}
	r.pulse.succeeded(begun)
	r.stopTasks(obsolete)
	return nil
}
