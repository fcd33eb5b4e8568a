package run

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// openTimeout bounds the writing of a further call's row: a run that would have
// to wait for the store gives the execution back instead.
const openTimeout = 2 * time.Second

// closePatience bounds the recording of a call that does not decide its run.
const closePatience = 10 * time.Second

// carryOut makes the calls of a run, and decides what becomes of the execution.
// When a call failed and its next target can be called at once, that is the same
// run, which calls each target once.
func (r *Runner) carryOut(ctx context.Context, w jobs.Work, begun time.Time) decision {
	route, stage := r.route(w), r.stage(w.Task)
	defer stage.end(ctx)
	l := leg{Work: w, n: 1, begun: begun, providers: r.served.Load().providers}
	held := r.permit(ctx, &l)
	for {
		a := notMade(l, held)
		if held == nil {
			l, a = r.race(ctx, route, l, stage)
		}
		a.calls = l.n
		d := r.decide(l.Work, route, a)
		next, ok := r.onward(ctx, route, l, d, stage)
		if !ok {
			d.tries += l.Tries - w.Tries
			d.notAtOnce()
			return d
		}
		r.closeCall(ctx, l, d, FailedOver)
		l = next
		if held = r.hold(ctx, l, time.Now()); held != nil {
			r.unsend(ctx, l) // the store was away meanwhile: time has passed
		}
	}
}

// notAtOnce makes another target wait for its call where that is not part of the
// run: or targets that fail would be called in turns as fast as that goes.
func (d *decision) notAtOnce() {
	if d.failedOver {
		d.runAt = ceil(d.runAt.Add(d.pause))
	}
}

// onward returns the next call of the run, with leave to make it, if what was
// decided is to call another target at once. Who has seen the beginning of an
// answer is not shown that of another in the same run.
func (r *Runner) onward(ctx context.Context, route jobs.Route, l leg, d decision, s *stage) (leg, bool) {
	if !d.failedOver || l.n >= len(route.Targets) || s.shown.Load() != 0 {
		return leg{}, false
	}
	next := l
	next.Tries += d.tries
	return next, r.begin(ctx, route, &next, d.target)
}

// begin makes of l the next call of its run, to another target: records it and
// asks for leave, without waiting for either. It reports whether it may be made.
func (r *Runner) begin(ctx context.Context, route jobs.Route, l *leg, target int) bool {
	call, err := uuid.NewV7()
	if err != nil {
		return false
	}
	t := route.Targets[target]
	l.Target, l.Provider, l.Model, l.Call = target, t.Provider, t.Model, call
	l.n, l.begun = l.n+1, time.Now().UTC()
	if r.hold(ctx, *l, l.begun) != nil {
		return false
	}
	err = within(ctx, openTimeout, func(ctx context.Context) error {
		return r.cfg.Store.OpenCall(ctx, r.cfg.Worker.ID, l.row())
	})
	if err != nil {
		return false
	}
	if held := r.admit(ctx, l); held != nil {
		r.closeCall(ctx, *l, decision{call: callOf(l.Work, notMade(*l, held)), message: held.Error()}, NotMade)
		return false
	}
	return true
}

// row is the call, open.
func (l leg) row() jobs.Call {
	return jobs.Call{
		ID: l.Call, Execution: l.Task.Execution, Fence: l.Task.Fence, Tenant: l.Tenant, RequestHash: l.RequestHash,
		Provider: l.Provider, Model: l.Model, CreatedAt: l.begun,
	}
}

// closeCall records a call that does not decide its run, also of a run that was
// cancelled: what it spent is spent.
func (r *Runner) closeCall(ctx context.Context, l leg, d decision, result Result) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	err := r.persist(ctx, "close a call", func(ctx context.Context) error {
		return r.cfg.Store.CloseCall(ctx, d.call)
	})
	r.cfg.Observer.ended(Attempt{
		Task: l.Task, RequestHash: l.RequestHash, Route: l.Route, Call: d.call, Gap: d.gap, Result: result, Tries: l.Tries + d.tries,
		Message: d.message, Err: err,
	})
}
