package run

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// openTimeout bounds the writing of a further call's row: a run that would have
// to wait for the store gives the execution back instead.
const openTimeout = 2 * time.Second

// closePatience bounds the recording of a call that does not decide its run.
const closePatience = 10 * time.Second

// run is one run of an execution: its calls, each to another target.
type run struct {
	*Runner
	route jobs.Route
	stage *stage
	// providers are those that there were when it began.
	providers map[string]providers.Provider
	// called are the targets of its calls.
	called map[jobs.Target]bool
}

func (r *Runner) newRun(w jobs.Work) *run {
	return &run{
		Runner: r, route: r.routeOf(w), stage: r.newStage(w.Task), providers: r.served.Load().providers,
		called: make(map[jobs.Target]bool),
	}
}

// routeOf returns the policies of the work's route, with its lesser targets for work
// that is degraded. What this process does not know is the target chosen by the
// dispatcher, called with the defaults.
func (r *Runner) routeOf(w jobs.Work) jobs.Route {
	chosen := []jobs.Target{targetOf(w)}
	route, err := r.cfg.Catalog.Resolve(w.Route)
	if err != nil {
		return jobs.Route{Name: w.Route, Targets: chosen, MaxAttempts: defaultMaxAttempts, Timeouts: jobs.DefaultTimeouts()}
	}
	if w.Degraded {
		route.Targets = route.Degraded
	}
	if len(route.Targets) == 0 {
		route.Targets = chosen
	}
	return route
}

func targetOf(w jobs.Work) jobs.Target { return jobs.Target{Provider: w.Provider, Model: w.Model} }

// carryOut makes the calls of a run, and decides what becomes of the execution.
// When a call failed and its next target can be called at once, that is the same
// run, which calls each target once.
func (r *Runner) carryOut(ctx context.Context, w jobs.Work, begun time.Time) decision {
	u := r.newRun(w)
	defer u.stage.end(ctx)
	l := leg{Work: w, n: 1, begun: begun}
	u.called[targetOf(w)] = true
	held := u.permit(ctx, &l)
	for {
		a := notMade(l, held)
		if held == nil {
			l, a = u.race(ctx, l)
		}
		d := u.decide(l.Work, a)
		next, ok := u.onward(ctx, l, d)
		if !ok {
			d.tries += l.Tries - w.Tries
			d.notAtOnce()
			return d
		}
		u.closeCall(ctx, l, d, FailedOver)
		l = next
		if held = u.hold(ctx, l); held != nil {
			u.unsend(ctx, l) // the store was away meanwhile: time has passed
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

// next returns the index of the target that follows the one of w among those that
// the run has not called, and whether there is one. A run may begin with any, and
// the configuration may have changed since its release: what counts is where the
// target stands now.
func (u *run) next(w jobs.Work) (target int, another bool) {
	targets := u.route.Targets
	at := slices.Index(targets, targetOf(w))
	for i := range targets {
		target = (at + 1 + i) % len(targets)
		if !u.called[targets[target]] {
			return target, true
		}
	}
	return 0, false
}

// onward returns the next call of the run, with leave to make it, if what was
// decided is to call another target at once. Who has seen the beginning of an
// answer is not shown that of another in the same run.
func (u *run) onward(ctx context.Context, l leg, d decision) (leg, bool) {
	if !d.failedOver || u.stage.shown.Load() != 0 {
		return leg{}, false
	}
	l.Tries += d.tries
	return u.begin(ctx, l, d.target)
}

// begin returns the run's next call after l, to another target: recorded, and with
// leave to make it. It waits for neither, and reports whether it may be made.
func (u *run) begin(ctx context.Context, l leg, target int) (leg, bool) {
	call, err := uuid.NewV7()
	if err != nil {
		return leg{}, false
	}
	t := u.route.Targets[target]
	l.Target, l.Provider, l.Model, l.Call = target, t.Provider, t.Model, call
	l.n, l.begun = len(u.called)+1, time.Now().UTC()
	if u.hold(ctx, l) != nil {
		return leg{}, false
	}
	err = l.within(ctx, openTimeout, func(ctx context.Context) error {
		return u.cfg.Store.OpenCall(ctx, u.cfg.Worker.ID, l.row())
	})
	if unavailable(err) { // the row may have been kept
		u.closeUnmade(ctx, l, errDoubtful)
	}
	if err != nil {
		return leg{}, false
	}
	if held := u.admit(ctx, &l); held != nil {
		u.closeUnmade(ctx, l, held)
		return leg{}, false
	}
	u.called[t] = true
	return l, true
}

// withdraw gives up a call that was begun and is not made after all.
func (u *run) withdraw(ctx context.Context, l leg, why error) {
	u.unsend(ctx, l)
	u.closeUnmade(ctx, l, why)
	delete(u.called, targetOf(l.Work))
}

func (u *run) closeUnmade(ctx context.Context, l leg, why error) {
	u.closeCall(ctx, l, decision{call: callOf(l.Work, notMade(l, why)), message: why.Error()}, NotMade)
}

// closeCall records a call that does not decide its run, also of a run that was
// cancelled: what it spent is spent.
func (u *run) closeCall(ctx context.Context, l leg, d decision, result Result) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
	defer cancel()
	err := u.persist(ctx, "close a call", func(ctx context.Context) error {
		return u.cfg.Store.CloseCall(ctx, d.call)
	})
	u.cfg.Observer.ended(Attempt{
		Task: l.Task, RequestHash: l.RequestHash, Route: l.Route, Call: d.call, Gap: d.gap, Lane: d.lane, Result: result, Tries: l.Tries + d.tries,
		Message: d.message, Err: err,
	})
}
