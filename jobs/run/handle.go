package run

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/backoff"
	"github.com/penstock-dev/penstock/providers"
)

// Handle runs one task: claim, call, decide, record. It returns when all of it
// is recorded, or is known to be somebody else's; the end of ctx plays no part.
func (r *Runner) Handle(ctx context.Context, task jobs.Task) {
	ctx, abort := context.WithCancel(context.WithoutCancel(ctx))
	defer abort()
	calling, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	// Registered before the claim: a cancel between the two is not lost.
	defer r.running.add(&running{task: task, stop: stop, abort: abort})()

	c, work, err := r.claim(ctx, task)
	if err != nil {
		return
	}
	route := r.route(work)
	a := r.attempt(calling, work, route, c.At)
	r.record(ctx, work, r.decide(work, route, a))
}

// claim makes the task this worker's. While the store is away it goes on
// trying for claimPatience, then it lets the task go. A claim may have been kept
// although its answer was lost, and may have become stale since: clearUp undoes
// it. It gives up when the worker stops: retiring gives back what is held.
func (r *Runner) claim(ctx context.Context, task jobs.Task) (jobs.Claim, jobs.Work, error) {
	ctx, cancel := r.untilDraining(ctx)
	defer cancel()
	ctx, late := context.WithTimeout(ctx, claimPatience)
	defer late()
	for r.stale() {
		if err := backoff.Wait(ctx, r.cfg.Pace.Beat/4); err != nil {
			return jobs.Claim{}, jobs.Work{}, err
		}
	}
	call, err := uuid.NewV7()
	if err != nil {
		r.cfg.Observer.error(fmt.Errorf("make an id for a call: %w", err))
		return jobs.Claim{}, jobs.Work{}, err
	}
	c := jobs.Claim{Task: task, Worker: r.cfg.Worker.ID, Call: call}
	var work jobs.Work
	doubtful := false
	err = r.persist(ctx, "claim a task", func(ctx context.Context) (err error) {
		c.At = time.Now().UTC()
		work, err = r.cfg.Store.Claim(ctx, c)
		doubtful = doubtful || unavailable(err)
		return err
	})
	if err != nil && doubtful {
		r.doubts.add(c)
	}
	return c, work, err
}

// untilDraining returns a context that ends also when the worker stops.
func (r *Runner) untilDraining(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-r.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// route returns the policies of the work's route. If this process does not
// know it, the target chosen by the dispatcher is called with the defaults.
func (r *Runner) route(w jobs.Work) jobs.Route {
	if route, err := r.cfg.Catalog.Resolve(w.Route); err == nil {
		return route
	}
	return jobs.Route{
		Name: w.Route, Targets: []jobs.Target{{Provider: w.Provider, Model: w.Model}},
		MaxAttempts: defaultMaxAttempts, Timeouts: jobs.DefaultTimeouts(),
	}
}

// attempt is one call as it went.
type attempt struct {
	// begun is when the call was claimed, ended when its answer was there.
	begun, ended time.Time
	latency      time.Duration
	response     providers.Response
	// failure is nil when the call succeeded.
	failure *providers.Error
	// held says why the call was not made, or was broken off by ourselves.
	held error
}

// Why a call was not made.
var (
	errStale    = errors.New("the worker could not renew its heartbeat")
	errTooLate  = errors.New("the deadline had passed before the call")
	errNoSuch   = errors.New("the worker has no such provider")
	errRefused  = errors.New("the request cannot be read by anybody")
	errWithheld = errors.New("the worker cannot read the request")
)

// attempt makes the call, unless there is a reason not to.
func (r *Runner) attempt(ctx context.Context, w jobs.Work, route jobs.Route, begun time.Time) attempt {
	a := attempt{begun: begun}
	sent := time.Now()
	if a.held = r.hold(ctx, w, sent); a.held == nil {
		r.cfg.Observer.started(w)
		show, end := r.live(ctx, w.Task)
		a.response, a.failure = r.call(ctx, w, providers.Request{
			Endpoint: w.Endpoint, Model: w.Model, Body: w.Body,
			IdempotencyKey: fmt.Sprintf("%s-%d", w.Task.Execution, w.Task.Fence),
			Timeouts:       bounded(route.Timeouts, w.StopAt.Sub(sent)),
		}, show)
		a.latency = time.Since(sent)
		a.held = a.blame(context.Cause(ctx))
		end()
	}
	a.ended = time.Now().UTC()
	return a
}

// live returns what shows the pieces of a run to those who listen, and what
// ends that.
func (r *Runner) live(ctx context.Context, t jobs.Task) (show func(providers.Chunk), end func()) {
	if r.cfg.Live == nil {
		return nil, func() {}
	}
	s := r.cfg.Live(t)
	return func(c providers.Chunk) { s.Add(bytes.Clone(c.Data)) }, func() { s.End(context.WithoutCancel(ctx)) }
}

// blame returns cause if the call failed as a cancelled call does. A failure of
// another class came from the provider, and counts. A call that says it was
// cancelled although nobody did so has lost its connection.
func (a *attempt) blame(cause error) error {
	switch {
	case a.failure == nil:
		return nil
	case cause == nil && a.failure.Class == providers.Cancelled:
		lost := *a.failure
		lost.Class = providers.Connection
		a.failure = &lost
		return nil
	case a.failure.Class == providers.Cancelled, a.failure.Class == providers.Connection:
		return cause
	default:
		return nil
	}
}

// hold returns why the call must not be made, or nil.
func (r *Runner) hold(ctx context.Context, w jobs.Work, now time.Time) error {
	select {
	case <-r.draining:
		return errDrained
	default:
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case r.stale():
		return errStale
	case w.Refused != nil:
		return errRefused
	case w.Withheld != "":
		return fmt.Errorf("%w: %s", errWithheld, w.Withheld)
	case r.cfg.Providers[w.Provider] == nil:
		return errNoSuch
	case !now.Before(w.StopAt):
		return errTooLate
	}
	return nil
}

// bounded returns the timeouts such that the call ends within left.
func bounded(t providers.Timeouts, left time.Duration) providers.Timeouts {
	if t.Total == 0 || t.Total > left {
		t.Total = left
	}
	return t
}

// call calls the provider. A panic in it is a malformed answer: most likely
// this answer is what the adapter could not bear. It is retried, and counts,
// so that a request that always ends so does end.
func (r *Runner) call(
	ctx context.Context, w jobs.Work, req providers.Request, show func(providers.Chunk),
) (resp providers.Response, failure *providers.Error) {
	defer func() {
		if v := recover(); v != nil {
			r.cfg.Observer.panicked(w.Task, fmt.Sprintf("%T", v), debug.Stack())
			resp, failure = providers.Response{}, &providers.Error{
				Class: providers.Malformed, Message: "the provider's adapter failed on this call",
			}
		}
	}()
	resp, err := r.cfg.Providers[w.Provider].Call(ctx, req, show)
	if err != nil {
		return providers.Response{}, failureOf(err)
	}
	if !json.Valid(resp.Body) {
		return resp, &providers.Error{
			Class: providers.Malformed, HTTPStatus: resp.HTTPStatus, Message: "the answer is not JSON",
			Usage: resp.Usage, Partial: string(resp.Body), TimeToFirstToken: resp.TimeToFirstToken, RequestID: resp.RequestID,
		}
	}
	return resp, nil
}

// failureOf returns the *[providers.Error] in err. An error that has none is
// not quoted: nobody promised that it is safe.
func failureOf(err error) *providers.Error {
	if e, ok := errors.AsType[*providers.Error](err); ok {
		return e
	}
	return &providers.Error{Class: providers.ClassOf(err), Message: "the call failed for an unclassified reason", Err: err}
}
