package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
	"github.com/penstock-dev/penstock/providers/tokens"
)

// leg is one call of a run: the work as it is for the call's target, and leave to
// send it there.
type leg struct {
	jobs.Work
	// n counts the calls of the run, from 1.
	n int
	// begun is when the call's row was made.
	begun  time.Time
	permit lane.Permit
	// estimate is what the call was expected to cost.
	estimate tokens.Estimate
}

// key names the call to a provider that makes equal ones once.
func (l leg) key() string {
	if l.n == 1 {
		return fmt.Sprintf("%s-%d", l.Task.Execution, l.Task.Fence)
	}
	return fmt.Sprintf("%s-%d-%d", l.Task.Execution, l.Task.Fence, l.n)
}

// row is the call, open.
func (l leg) row() jobs.Call {
	return jobs.Call{
		ID: l.Call, Execution: l.Task.Execution, Fence: l.Task.Fence, Tenant: l.Tenant, RequestHash: l.RequestHash,
		Provider: l.Provider, Model: l.Model, CreatedAt: l.begun,
	}
}

// within does what the call still needs, in so much time at most and not beyond the
// deadline.
func (l leg) within(ctx context.Context, d time.Duration, do func(context.Context) error) error {
	return within(ctx, min(d, time.Until(l.StopAt)), do)
}

// bounded returns the timeouts such that the call ends when nobody waits any
// more, and a probe before another may be made.
func (l leg) bounded(t providers.Timeouts, sent time.Time) providers.Timeouts {
	left := l.StopAt.Sub(sent)
	if l.permit.Probe {
		left = min(left, l.permit.Within)
	}
	if t.Total == 0 || t.Total > left {
		t.Total = left
	}
	return t
}

// attempt is one call as it went.
type attempt struct {
	// begun is when the call was claimed, ended when its answer was there.
	begun, ended time.Time
	latency      time.Duration
	// gap is the longest silence between two pieces, or after the last.
	gap      time.Duration
	response providers.Response
	// failure is nil when the call succeeded.
	failure *providers.Error
	// held says why the call was not made, or was broken off by ourselves.
	held error
	// settled is what the call did to its lane.
	settled lane.Settled
}

// notMade is an attempt that was none, for the given reason.
func notMade(l leg, why error) attempt {
	return attempt{begun: l.begun, ended: time.Now().UTC(), held: why}
}

// send makes the call and settles it with its lane.
func (u *run) send(ctx context.Context, l leg, show func(providers.Chunk)) attempt {
	u.cfg.Observer.started(l.Work)
	a, pieces, sent := attempt{begun: l.begun}, gaps{}, time.Now()
	a.response, a.failure = u.call(ctx, l, providers.Request{
		Endpoint: l.Endpoint, Model: l.Model, Body: l.Body, IdempotencyKey: l.key(),
		Timeouts: l.bounded(u.timeouts(l), sent),
	}, func(c providers.Chunk) {
		pieces.seen(time.Now(), c.Token)
		show(c)
	})
	a.latency, a.gap, a.ended = time.Since(sent), pieces.longest(time.Now()), time.Now().UTC()
	a.held = a.blame(context.Cause(ctx))
	a.settled = u.settle(ctx, l, a)
	return a
}

// timeouts returns those of the route, or what follows from what calls took.
func (u *run) timeouts(l leg) providers.Timeouts {
	most := u.route.TimeoutsOf(targetOf(l.Work))
	if !u.route.Adaptive || u.cfg.Timeouts == nil {
		return most
	}
	return u.cfg.Timeouts(targetOf(l.Work), most, l.estimate)
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

// call calls the provider. A panic in it is a malformed answer: most likely
// this answer is what the adapter could not bear. It is retried, and counts,
// so that a request that always ends so does end.
func (u *run) call(
	ctx context.Context, l leg, req providers.Request, show func(providers.Chunk),
) (resp providers.Response, failure *providers.Error) {
	defer func() {
		if v := recover(); v != nil {
			u.cfg.Observer.panicked(l.Task, fmt.Sprintf("%T", v), debug.Stack())
			resp, failure = providers.Response{}, &providers.Error{
				Class: providers.Malformed, Message: "the provider's adapter failed on this call",
			}
		}
	}()
	resp, err := u.providers[l.Provider].Call(ctx, req, show)
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
