package run

import (
	"context"

	"github.com/penstock-dev/penstock/jobs/backoff"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

// settle tells the lane what became of the call. A hint is with it before anything
// else is done. It returns what the call did to its lane, as far as that is known.
func (r *Runner) settle(ctx context.Context, l leg, a attempt) lane.Settled {
	if r.cfg.Tokens != nil && r.cfg.Lanes != nil && a.failure == nil {
		r.cfg.Tokens.Learn(l.permit.Target, l.estimate, a.response.Usage)
	}
	return r.settleWith(ctx, l, resultOf(a))
}

// unsend settles a call that was let through and is not made.
func (r *Runner) unsend(ctx context.Context, l leg) { r.settleWith(ctx, l, lane.Result{Unsent: true}) }

func (r *Runner) settleWith(ctx context.Context, l leg, res lane.Result) (done lane.Settled) {
	if r.cfg.Lanes == nil {
		return lane.Settled{}
	}
	r.permits.remove(l.Call)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settlePatience)
	defer cancel()
	for n := 0; ; n++ {
		err := within(ctx, settleTimeout, func(ctx context.Context) error {
			now, err := r.cfg.Lanes.Settle(ctx, l.permit, res)
			if now != (lane.Settled{}) { // else it was settled before
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
		return lane.Result{Class: e.Class, Usage: e.Usage, Hint: e.RetryAfter, Quota: e.Quota, Took: a.latency}
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
