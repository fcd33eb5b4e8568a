// Package run is the worker: it claims released executions, calls their
// provider once, and records what came of it: an end, or a later time.
package run

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/backoff"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/tokens"
)

// DefaultRetry spaces out retries: full jitter from 1 s, at most 60 s.
var DefaultRetry = backoff.Policy{Base: time.Second, Cap: time.Minute}

// Config is what a [Runner] needs. All but the durations, Retry and Observer
// is required.
type Config struct {
	Store   jobs.RunStore
	Queue   jobs.Queue
	Signals jobs.Signals
	Catalog *jobs.Catalog
	// Providers are called by name; Concurrency says how many calls each gets
	// at once from this process, at least 1. [Runner.Serve] changes them.
	Providers   map[string]providers.Provider
	Concurrency map[string]int
	// Worker has ID and Name set; the id is new for each process.
	Worker jobs.Worker
	// Retry spaces out retries; default [DefaultRetry].
	Retry backoff.Policy
	// DrainTimeout is how long running calls may go on when the worker stops;
	// default 11 min, which outlasts the longest call of the default timeouts.
	// Then they are cancelled and given back.
	DrainTimeout time.Duration
	// FlushTimeout is how much longer the stopping worker tries to record what
	// it has while the store is away; default 10 s.
	FlushTimeout time.Duration
	// Pace says how often the worker beats, and when it is stale.
	Pace jobs.Pace
	// Lanes give leave for each call; nil: none is needed. Pool names the quota pool
	// of a target; nil: its provider's name.
	Lanes Lanes
	Pool  func(jobs.Target) string
	// Tokens estimate what calls will cost, by target; nil: nothing.
	Tokens Tokens
	// HedgeAfter tells how late the first token of a target is when a second call
	// is worth its part of a route's hedge budget, and whether that is known; nil:
	// nothing is hedged.
	HedgeAfter func(t jobs.Target, budget float64) (time.Duration, bool)
	// Timeouts bound the calls of routes whose timeouts are adaptive, within those of
	// the route; nil: none are.
	Timeouts func(t jobs.Target, most providers.Timeouts, e tokens.Estimate) providers.Timeouts
	// Live opens the stream of a run for those who listen; nil when nobody can.
	Live     func(jobs.Task) Stream
	Observer Observer
}

// Runner runs executions. Make one with [New].
type Runner struct {
	cfg     Config
	running *registry
	pulse   pulse
	gate    *gate
	doubts  *doubts
	permits *permits
	hedges  *budgets
	served  atomic.Pointer[served]
	// changed holds a token when served has changed.
	changed chan struct{}
	// draining is closed when the worker starts to stop.
	draining chan struct{}
	started  sync.Once
	// failing says that the last write failed, and that this was reported.
	failing atomic.Bool
	// lanesFailing is the same of the lanes.
	lanesFailing atomic.Bool
}

// New returns a runner, or an error that names the field at fault.
func New(cfg Config) (*Runner, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("run: %w", err)
	}
	if cfg.Retry == (backoff.Policy{}) {
		cfg.Retry = DefaultRetry
	}
	cfg.DrainTimeout = orDefault(cfg.DrainTimeout, 11*time.Minute)
	cfg.FlushTimeout = orDefault(cfg.FlushTimeout, 10*time.Second)
	var err error
	if cfg.Pace, err = cfg.Pace.Filled(); err != nil {
		return nil, fmt.Errorf("run: Pace: %w", err)
	}
	r := &Runner{
		cfg: cfg, running: newRegistry(), gate: newGate(), doubts: newDoubts(), permits: newPermits(),
		hedges: newBudgets(), draining: make(chan struct{}), changed: make(chan struct{}, 1),
	}
	r.served.Store(&served{cfg.Providers, cfg.Concurrency})
	return r, nil
}

func (c Config) check() error {
	switch {
	case c.Store == nil:
		return errors.New("the config lacks Store")
	case c.Queue == nil:
		return errors.New("the config lacks Queue")
	case c.Signals == nil:
		return errors.New("the config lacks Signals")
	case c.Catalog == nil:
		return errors.New("the config lacks Catalog")
	case c.Worker.ID == uuid.Nil:
		return errors.New("the config lacks Worker.ID")
	case c.Retry.Base < 0 || c.Retry.Cap < c.Retry.Base:
		return fmt.Errorf("the config has Retry %+v; Base must not be negative nor above Cap", c.Retry)
	case c.DrainTimeout < 0 || c.FlushTimeout < 0:
		return errors.New("DrainTimeout and FlushTimeout must not be negative")
	}
	return served{c.Providers, c.Concurrency}.check()
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// Run takes and runs tasks until ctx ends. Then it takes no more, lets running
// calls finish for DrainTimeout, cancels and gives back the rest, retires the
// worker, and returns nil. It is called once.
func (r *Runner) Run(ctx context.Context) error {
	err := errors.New("run: Run was called twice")
	r.started.Do(func() { err = nil })
	if err != nil {
		return err
	}
	if !r.introduce(ctx) {
		return nil
	}
	alive, die := context.WithCancel(context.WithoutCancel(ctx))
	defer die()
	var beating sync.WaitGroup
	consuming := &consumers{open: make(map[string]*consumer)}
	beating.Go(func() { r.heartbeat(alive) })
	beating.Go(func() { r.clearUp(alive) })
	beating.Go(func() { r.renew(alive) })
	r.serve(ctx, consuming)
	r.drain(&consuming.group)
	die()
	beating.Wait()
	r.retire(context.WithoutCancel(ctx))
	return nil
}

// drain waits for what is running: for DrainTimeout as it is, for FlushTimeout
// with its calls cancelled, and then with its writes given up as well.
func (r *Runner) drain(consuming *sync.WaitGroup) {
	close(r.draining)
	done := make(chan struct{})
	go func() {
		consuming.Wait()
		close(done)
	}()
	if waitFor(done, r.cfg.DrainTimeout) {
		return
	}
	r.running.stopAll(errDrained)
	if waitFor(done, r.cfg.FlushTimeout) {
		return
	}
	r.running.abortAll()
	<-done
}

func waitFor(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}

// retire forgets the worker, so that what it may still hold is released again
// at once. If that fails it will be declared dead, which is slower and counts.
func (r *Runner) retire(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.FlushTimeout)
	defer cancel()
	err := r.persist(ctx, "retire the worker", func(ctx context.Context) error {
		if err := r.undo(ctx); err != nil {
			return err
		}
		return r.cfg.Store.Retire(ctx, r.cfg.Worker.ID)
	})
	if err != nil {
		r.cfg.Observer.error(fmt.Errorf("retire the worker: %w", err))
		return
	}
	r.signal(ctx, jobs.Signal{Kind: jobs.SignalReady})
}
