package run

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/backoff"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
	"github.com/penstock-dev/penstock/providers/tokens"
)

const (
	// permitPatience is how long a run waits for leave to call, in the place it
	// has. Work whose lane is shut for longer is given back.
	permitPatience = 3 * time.Second
	// settleTimeout bounds a try to ask or to settle, settlePatience all tries to
	// settle: a place that is not given back lapses.
	settleTimeout  = 2 * time.Second
	settlePatience = 5 * time.Second
	// lanesAway is how long work is given back for when it is not known whether it
	// may be sent.
	lanesAway = 2 * time.Second
)

// Lanes give leave to call: see [lane.Lanes].
type Lanes interface {
	Admit(ctx context.Context, a lane.Ask) (lane.Verdict, error)
	Settle(ctx context.Context, p lane.Permit, res lane.Result) (lane.Settled, error)
	Renew(ctx context.Context, permits []lane.Permit) error
}

// Tokens estimate what a call costs, and learn from what it did: see
// [tokens.Estimator].
type Tokens interface {
	Estimate(model, endpoint string, body []byte) tokens.Estimate
	Learn(model string, e tokens.Estimate, u providers.Usage)
}

// shut says that a call may not be made now.
type shut struct {
	reason lane.Reason
	wait   time.Duration
}

// Error says why, and for how long.
func (s *shut) Error() string {
	return fmt.Sprintf("its lane lets no call through for %v: %s", s.wait.Round(time.Millisecond), s.reason)
}

// waitingOn is what the jobs wait on.
func (s *shut) waitingOn() jobs.WaitingOn {
	switch s.reason {
	case lane.RateLimit:
		return jobs.WaitingOnRateLimit
	case lane.Breaker:
		return jobs.WaitingOnBreaker
	case lane.Paused, lane.Drained:
		return jobs.WaitingOnHuman
	default:
		return jobs.WaitingOnCapacity
	}
}

// permit gets leave to make the call, and waits for it a little, but not beyond the
// deadline. It returns why the call must not be made, or nil.
func (u *run) permit(ctx context.Context, l *leg) error {
	last := time.Now().Add(permitPatience)
	if l.StopAt.Before(last) {
		last = l.StopAt
	}
	for {
		if held := u.hold(ctx, *l); held != nil {
			return held
		}
		held := u.admit(ctx, l)
		if held == nil {
			return nil
		}
		if time.Now().Add(held.wait).After(last) {
			return held
		}
		if backoff.Wait(ctx, held.wait) != nil {
			return context.Cause(ctx)
		}
	}
}

// admit asks once for leave to make the call. It returns nil when it may be
// made: then it must be settled.
func (u *run) admit(ctx context.Context, l *leg) *shut {
	if u.cfg.Lanes == nil {
		return nil
	}
	ask := lane.Ask{Lane: u.cfg.laneOf(targetOf(l.Work)), Call: l.Call}
	if u.cfg.Tokens != nil {
		l.estimate = u.cfg.Tokens.Estimate(ask.Target, l.Endpoint, l.Body)
		ask.Input, ask.Output = l.estimate.Input, l.estimate.Output
	}
	var v lane.Verdict
	err := l.within(ctx, settleTimeout, func(ctx context.Context) (err error) {
		v, err = u.cfg.Lanes.Admit(ctx, ask)
		return err
	})
	u.reportLanes(ctx, err)
	switch {
	case err != nil:
		return &shut{reason: lane.Rebuilding, wait: lanesAway}
	case !v.Admitted:
		return &shut{reason: v.Reason, wait: v.For}
	}
	l.permit = v.Permit
	u.permits.add(v.Permit)
	return nil
}

// settle tells the lane what became of the call. A hint is with it before anything
// else is done. It returns what the call did to its lane, as far as that is known.
func (r *Runner) settle(ctx context.Context, l leg, a attempt) (done lane.Settled) {
	if r.cfg.Lanes == nil {
		return lane.Settled{}
	}
	r.permits.remove(l.Call)
	if r.cfg.Tokens != nil && a.failure == nil {
		r.cfg.Tokens.Learn(l.permit.Target, l.estimate, a.response.Usage)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settlePatience)
	defer cancel()
	res := resultOf(a)
	for n := 0; ; n++ {
		err := within(ctx, settleTimeout, func(ctx context.Context) error {
			now, err := r.cfg.Lanes.Settle(ctx, l.permit, res)
			if now.Now {
				done = now
			}
			return err
		})
		r.reportLanes(ctx, err)
		if err == nil || backoff.Wait(ctx, outage.Equal(n)) != nil {
			return done
		}
	}
}

// unsend settles a call that was let through and is not made.
func (r *Runner) unsend(ctx context.Context, l leg) {
	none := &providers.UnsupportedError{}
	r.settle(ctx, l, attempt{failure: none.Refuse()})
}

// resultOf is what a lane is told.
func resultOf(a attempt) lane.Result {
	switch e := a.failure; {
	case e == nil:
		return lane.Result{Usage: a.response.Usage, Quota: a.response.Quota}
	case e.Unsupported != nil:
		return lane.Result{Unsent: true}
	case a.held != nil:
		return lane.Result{Class: providers.Cancelled, Usage: e.Usage}
	default:
		return lane.Result{Class: e.Class, Usage: e.Usage, Hint: e.RetryAfter, Quota: e.Quota}
	}
}

// reportLanes reports the first of a row of failures.
func (r *Runner) reportLanes(ctx context.Context, err error) {
	if err == nil {
		r.lanesFailing.Store(false)
	} else if ctx.Err() == nil && !r.lanesFailing.Swap(true) {
		r.cfg.Observer.error(err)
	}
}

// laneOf names the lane of a target.
func (c Config) laneOf(t jobs.Target) lane.Lane {
	if c.Pool == nil {
		return lane.Lane{Pool: t.Provider, Target: t.String()}
	}
	return lane.Lane{Pool: c.Pool(t), Target: t.String()}
}

// permits are those that this worker holds: its heartbeat renews them.
type permits struct {
	mu   sync.Mutex
	held map[uuid.UUID]lane.Permit
}

func newPermits() *permits { return &permits{held: make(map[uuid.UUID]lane.Permit)} }

func (p *permits) add(permit lane.Permit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[permit.Call] = permit
}

func (p *permits) remove(call uuid.UUID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, call)
}

func (p *permits) all() []lane.Permit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.held))
}

// renew renews the permits held until ctx ends. It does not wait for the store:
// calls go on while that is away.
func (r *Runner) renew(ctx context.Context) {
	if r.cfg.Lanes == nil {
		return
	}
	tick := time.NewTicker(r.cfg.Pace.Stale)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		held := r.permits.all()
		if len(held) == 0 {
			continue
		}
		r.reportLanes(ctx, within(ctx, settleTimeout, func(ctx context.Context) error {
			return r.cfg.Lanes.Renew(ctx, held)
		}))
	}
}
