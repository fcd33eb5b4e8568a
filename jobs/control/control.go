// Package control keeps promises that nobody else is left to keep: it finds
// tasks the queue lost and workers that died, ends jobs whose time is up, and
// tidies the store.
//
// Every process runs all of it. What is cheap and safe to do several times over
// (looking for dead workers, expiry) each process does by itself, so that no
// single death delays it. What costs something per task or per run (asking the
// queue, settling, maintenance) is done by whoever holds a lease.
package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/backoff"
)

const (
	// stepTimeout bounds one step of most loops.
	stepTimeout = 30 * time.Second
	// signalTimeout bounds a signal, which is not worth waiting for.
	signalTimeout = time.Second
	// signalIDs bounds the ids in one signal.
	signalIDs = 512
	// reportEvery is how often a loop that keeps failing says so.
	reportEvery = time.Minute
)

// outage spaces out tries while the store or the queue is away. Its cap is a
// second at most, so that all is at work again within a second of the return.
var outage = backoff.Policy{Base: 100 * time.Millisecond, Cap: 800 * time.Millisecond}

// Store is what the controller needs of the store.
type Store interface {
	jobs.ControlStore
	// Lease and Unlease are those of [jobs.DispatchStore].
	Lease(ctx context.Context, name string, holder uuid.UUID, ttl time.Duration) (bool, error)
	Unlease(ctx context.Context, name string, holder uuid.UUID) error
}

// Config is what a [Controller] needs. Store, Queue, Signals and Holder are
// required.
type Config struct {
	Store   Store
	Queue   jobs.Queue
	Signals jobs.Signals
	// Holder names this process as holder of leases.
	Holder uuid.UUID
	// Pace says how often to look, and when a worker is dead.
	Pace jobs.Pace
	// Retention says what to delete; the zero value nothing.
	Retention jobs.Retention
	// Sweep removes files that are past their time; nil: there are none.
	Sweep    func(ctx context.Context) error
	Observer Observer
}

// Observer is told what a controller does, for logs and metrics. Any field may
// be nil. The functions are called from several goroutines and must not block.
type Observer struct {
	// Error is told of a loop that fails: at once, then at most once a minute
	// until it works again.
	Error func(err error)
	// Requeued is told how many releases were lost by the queue and taken back.
	Requeued func(n int)
	// Reclaimed is told of a worker that was declared dead.
	Reclaimed func(w jobs.Worker, what jobs.Reclaimed)
	// Expired is told how many jobs ended for want of time.
	Expired func(n int)
	// Deleted is told how many jobs were deleted one by one, past their retention.
	Deleted func(n int)
}

// Controller runs the loops. Make one with [New].
type Controller struct {
	cfg Config
}

// New returns a controller, or an error that names the field at fault.
func New(cfg Config) (*Controller, error) {
	switch {
	case cfg.Store == nil:
		return nil, errors.New("control: Store is missing")
	case cfg.Queue == nil:
		return nil, errors.New("control: Queue is missing")
	case cfg.Signals == nil:
		return nil, errors.New("control: Signals is missing")
	case cfg.Holder == uuid.Nil:
		return nil, errors.New("control: Holder is missing")
	}
	if err := cfg.Retention.Validate(); err != nil {
		return nil, fmt.Errorf("control: Retention: %w", err)
	}
	var err error
	if cfg.Pace, err = cfg.Pace.Filled(); err != nil {
		return nil, fmt.Errorf("control: Pace: %w", err)
	}
	return &Controller{cfg: cfg}, nil
}

// Run runs the loops until ctx ends, then gives up its leases and returns nil.
func (c *Controller) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	reconciling := &reconciler{c: c, lease: c.lease("reconcile")}
	watching := newWatcher(c)
	tidying := &upkeep{c: c, lease: c.lease("upkeep")}
	expiring := &expiry{c: c}
	deleting := &retention{c: c, lease: c.lease("retention")}
	emptying := &sweeping{c: c, lease: c.lease("files")}
	pace := c.cfg.Pace
	all := []loop{
		{"find lost tasks", always(pace.Poll), stepTimeout, reconciling.step},
		{"watch workers", always(pace.Beat), stepTimeout, watching.step},
		{"expire jobs", func() time.Duration { return expiring.wait(pace.Poll / 2) }, stepTimeout, expiring.step},
		// Below the time after which the lease is another's, so that it stays held.
		{"keep up the store", always(2 * pace.Beat), upkeepTimeout, tidying.step},
	}
	if !c.cfg.Retention.None() {
		all = append(all, loop{"delete old jobs", always(2 * pace.Beat), retainTimeout, deleting.step})
	}
	if c.cfg.Sweep != nil {
		all = append(all, loop{"remove files", always(2 * pace.Beat), sweepTimeout, emptying.step})
	}
	for _, l := range all {
		loops.Go(func() { c.every(ctx, l) })
	}
	loops.Wait()
	reconciling.lease.release(ctx)
	tidying.lease.release(ctx)
	deleting.lease.release(ctx)
	emptying.lease.release(ctx)
	return nil
}

// loop is something to do again and again.
type loop struct {
	what string
	// wait returns how long to wait after a step that succeeded.
	wait func() time.Duration
	// timeout bounds one step, so that a store that hangs is tried again.
	timeout time.Duration
	step    func(context.Context) error
}

func always(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// every takes a step at once and then again and again until ctx ends. After a
// failure it waits as outage says.
func (c *Controller) every(ctx context.Context, l loop) {
	var failures int
	var reported time.Time
	for ctx.Err() == nil {
		var wait time.Duration
		if err := within(ctx, l.timeout, l.step); err == nil {
			wait, failures, reported = l.wait(), 0, time.Time{}
		} else {
			wait = outage.Equal(failures)
			failures++
			if ctx.Err() == nil && time.Since(reported) >= reportEvery {
				reported = time.Now()
				c.cfg.Observer.error(fmt.Errorf("%s: %w", l.what, err))
			}
		}
		_ = backoff.Wait(ctx, wait) // ends early only with ctx, which the loop looks at
	}
}

func within(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return do(ctx)
}

// ready wakes the dispatcher.
func (c *Controller) ready(ctx context.Context) {
	c.signal(ctx, jobs.Signal{Kind: jobs.SignalReady})
}

// signal wakes whoever waits. A lost signal costs a poll interval.
func (c *Controller) signal(ctx context.Context, s jobs.Signal) {
	_ = within(ctx, signalTimeout, func(ctx context.Context) error { return c.cfg.Signals.Send(ctx, s) })
}

func (o Observer) error(err error) {
	if o.Error != nil {
		o.Error(err)
	}
}

func (o Observer) requeued(n int) {
	if o.Requeued != nil {
		o.Requeued(n)
	}
}

func (o Observer) reclaimed(w jobs.Worker, what jobs.Reclaimed) {
	if o.Reclaimed != nil {
		o.Reclaimed(w, what)
	}
}

func (o Observer) expired(n int) {
	if o.Expired != nil {
		o.Expired(n)
	}
}

func (o Observer) deleted(n int) {
	if o.Deleted != nil {
		o.Deleted(n)
	}
}
