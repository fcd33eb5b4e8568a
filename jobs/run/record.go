package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/backoff"
)

const (
	// storeTimeout bounds one try to write; a write that hangs is made again,
	// which every write of a run bears.
	storeTimeout = 30 * time.Second
	// signalTimeout bounds a signal, which is not worth waiting for.
	signalTimeout = time.Second
	// signalJobs bounds the ids in one signal.
	signalJobs = 512
	// maxRefusals bounds tries at a write that the store refuses, as opposed to
	// one that does not reach it.
	maxRefusals = 5
)

// outage spaces out tries while the store or the queue is away. Its cap is
// below a second, so that work goes on within a second of its return.
var outage = backoff.Policy{Base: 50 * time.Millisecond, Cap: 800 * time.Millisecond}

// persist makes a write until it succeeds or is known to be of no use: an
// answer in hand is not thrown away because the store is away. It gives up when
// ctx ends, and when the store keeps refusing.
func (r *Runner) persist(ctx context.Context, what string, write func(context.Context) error) error {
	refusals := 0
	for n := 0; ; n++ {
		err := within(ctx, storeTimeout, write)
		if err == nil || errors.Is(err, jobs.ErrStale) || errors.Is(err, jobs.ErrProlonged) {
			r.failing.Store(false)
			return err
		}
		if ctx.Err() == nil && !r.failing.Swap(true) {
			r.cfg.Observer.error(fmt.Errorf("%s: %w", what, err))
		}
		if !unavailable(err) {
			refusals++
		}
		if refusals >= maxRefusals || backoff.Wait(ctx, outage.Equal(n)) != nil {
			return err
		}
	}
}

func within(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return do(ctx)
}

// unavailable reports whether err says nothing but that the store was not reached.
func unavailable(err error) bool {
	return errors.Is(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// record writes what was decided and tells those who wait for it.
func (r *Runner) record(ctx context.Context, w jobs.Work, d decision) {
	a := Attempt{Task: w.Task, RequestHash: w.RequestHash, Route: w.Route, Call: d.call, Gap: d.gap, Lane: d.lane, Message: d.message}
	a.Tries = w.Tries + d.tries
	a.Result, a.Err = r.write(ctx, &d)
	if a.Result == Rescheduled {
		a.RunAt, a.WaitingOn = d.runAt, d.waitingOn
	}
	r.cfg.Observer.ended(a)
}

func (r *Runner) write(ctx context.Context, d *decision) (Result, error) {
	if d.status == "" {
		return r.reschedule(ctx, d)
	}
	result, err := r.finish(ctx, d)
	switch {
	case errors.Is(err, jobs.ErrProlonged):
		return r.reschedule(ctx, d)
	case err != nil && ctx.Err() == nil && d.status == jobs.StatusSucceeded:
		// The store is there and will not have this answer: without it the
		// execution would be this worker's until its deadline.
		d.refuse()
		return r.finish(ctx, d)
	}
	return result, err
}

func (r *Runner) finish(ctx context.Context, d *decision) (Result, error) {
	var ended []uuid.UUID
	err := r.persist(ctx, "finish an execution", func(ctx context.Context) (err error) {
		ended, err = r.cfg.Store.Finish(ctx, d.outcome())
		return err
	})
	if errors.Is(err, jobs.ErrStale) {
		return Stale, nil
	}
	if err != nil {
		return Unrecorded, err
	}
	for ids := range slices.Chunk(ended, signalJobs) {
		r.signal(ctx, jobs.Signal{Kind: jobs.SignalEnded, Jobs: ids})
	}
	r.signal(ctx, jobs.Signal{Kind: jobs.SignalReady})
	if d.status == jobs.StatusSucceeded {
		return Succeeded, nil
	}
	return Failed, nil
}

func (r *Runner) reschedule(ctx context.Context, d *decision) (Result, error) {
	err := r.persist(ctx, "give an execution back", func(ctx context.Context) error {
		return r.cfg.Store.Reschedule(ctx, d.rescheduling())
	})
	if errors.Is(err, jobs.ErrStale) {
		return Stale, nil
	}
	if err != nil {
		return Unrecorded, err
	}
	r.signal(ctx, jobs.Signal{Kind: jobs.SignalReady, At: d.runAt})
	return Rescheduled, nil
}

// signal wakes whoever waits. A lost signal costs a poll interval.
func (r *Runner) signal(ctx context.Context, s jobs.Signal) {
	_ = within(ctx, signalTimeout, func(ctx context.Context) error { return r.cfg.Signals.Send(ctx, s) })
}
