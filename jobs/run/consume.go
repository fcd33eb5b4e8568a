package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/backoff"
)

// errReturned says that a queue stopped handing out tasks without being told to.
var errReturned = errors.New("it ended by itself")

// gate says whether tasks are taken. It is open while the worker reaches the
// store: a task taken by one that does not is kept from those that do.
type gate struct {
	mu sync.Mutex
	// opened is closed while the gate is open, shut while it is not.
	opened, shut chan struct{}
	open         bool
}

// newGate returns a gate that is shut.
func newGate() *gate {
	g := &gate{opened: make(chan struct{}), shut: make(chan struct{})}
	close(g.shut)
	return g
}

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if open == g.open {
		return
	}
	if g.open = open; open {
		close(g.opened)
		g.shut = make(chan struct{})
	} else {
		close(g.shut)
		g.opened = make(chan struct{})
	}
}

func (g *gate) state() (opened, shut <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opened, g.shut
}

// consume hands a provider's tasks to Handle until ctx ends, whatever happens
// to the queue. It returns when none is running.
func (r *Runner) consume(ctx context.Context, provider string, concurrency int) {
	var sessions sync.WaitGroup
	defer sessions.Wait()
	handle := r.limited(concurrency)
	for n := 0; ctx.Err() == nil; n++ {
		start := time.Now()
		err := r.session(ctx, &sessions, func(ctx context.Context) error {
			return r.cfg.Queue.Consume(ctx, provider, concurrency, handle)
		})
		if err == nil || ctx.Err() != nil {
			n = -1 // the next failure is the first of its row
			continue
		}
		if time.Since(start) > time.Minute {
			n = 0
		}
		if n == 0 {
			r.cfg.Observer.error(fmt.Errorf("consume tasks of provider %q: %w", provider, err))
		}
		_ = backoff.Wait(ctx, outage.Equal(n)) // ends early only with ctx, which the loop looks at
	}
}

// limited returns Handle for at most concurrency tasks at once, over all
// sessions: those that have ended may still have calls under way.
func (r *Runner) limited(concurrency int) func(context.Context, jobs.Task) {
	places := make(chan struct{}, concurrency)
	return func(ctx context.Context, task jobs.Task) {
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
			r.Handle(ctx, task)
		case <-r.draining:
		}
	}
}

// session waits until the gate is open and consumes until it is shut or ctx
// ends. It does not wait for what is running then, sessions does. It returns an
// error when the queue failed.
func (r *Runner) session(
	ctx context.Context, sessions *sync.WaitGroup, consume func(context.Context) error,
) error {
	opened, _ := r.gate.state()
	select {
	case <-ctx.Done():
		return nil
	case <-opened:
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	failed := make(chan error, 1)
	sessions.Go(func() { failed <- consume(ctx) })
	_, shut := r.gate.state()
	select {
	case <-ctx.Done():
		return nil
	case <-shut:
		return nil
	case err := <-failed:
		return cmp.Or(err, errReturned)
	}
}
