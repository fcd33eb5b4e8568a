package run

import (
	"context"
	"errors"
	"fmt"
	"time"

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

// laneOf names the lane of a target.
func (c Config) laneOf(t jobs.Target) lane.Lane {
	if c.Pool == nil {
		return lane.Lane{Pool: t.Provider, Target: t.String()}
	}
	return lane.Lane{Pool: c.Pool(t), Target: t.String()}
}

// Why a call was not made.
var (
	errDoubtful = errors.New("the store was away as the call was to be recorded")
	errStale    = errors.New("the worker could not renew its heartbeat")
	errTooLate  = errors.New("the deadline had passed before the call")
	errNoSuch   = errors.New("the worker has no such provider")
	errRefused  = errors.New("the request cannot be read by anybody")
	errWithheld = errors.New("the worker cannot read the request")
)

// hold returns why the call must not be made, or nil.
func (u *run) hold(ctx context.Context, l leg) error {
	select {
	case <-u.draining:
		return errDrained
	default:
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case u.stale():
		return errStale
	case l.Refused != nil:
		return errRefused
	case l.Withheld != "":
		return fmt.Errorf("%w: %s", errWithheld, l.Withheld)
	case u.providers[l.Provider] == nil:
		return errNoSuch
	case !time.Now().Before(l.StopAt):
		return errTooLate
	}
	return nil
}
