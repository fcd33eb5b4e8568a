package run

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// errOutrun says that another call of the run was first.
var errOutrun = errors.New("another call of the run was first")

// finisher is a call of a race that has ended.
type finisher struct {
	leg
	attempt
}

func (f finisher) succeeded() bool { return f.failure == nil && f.held == nil }

// race makes the call, and when its first token is late a second one at another
// target beside it: a hedge. The first success wins; the other is cancelled,
// waited for and recorded. Somebody who listens decides it earlier: the first
// token they are shown does.
func (r *Runner) race(ctx context.Context, route jobs.Route, first leg, s *stage) (leg, attempt) {
	target, late, ok := r.hedge(route, first)
	if !ok {
		return first, r.send(ctx, route, first, func(c providers.Chunk) { s.show(first.n, c) })
	}
	c := &course{run: r, route: route, stage: s, started: make(chan struct{}), shown: make(chan int, 2), done: make(chan finisher, 2)}
	stopFirst := c.start(ctx, first)
	defer stopFirst(nil)
	timer := time.NewTimer(late)
	defer timer.Stop()
	select {
	case f := <-c.done:
		return f.leg, f.attempt
	case <-c.started:
	case <-ctx.Done():
	case <-timer.C:
		rival := first
		if r.hedges.take(route) && r.begin(ctx, route, &rival, target) {
			stopRival := c.start(ctx, rival)
			defer stopRival(nil)
			return c.finish(ctx, first, stopFirst, stopRival)
		}
	}
	f := <-c.done
	return f.leg, f.attempt
}

// course is one race.
type course struct {
	run   *Runner
	route jobs.Route
	stage *stage
	// started is closed at the first piece of any call.
	started chan struct{}
	once    sync.Once
	// shown holds the number of a call of which somebody has seen a piece.
	shown chan int
	done  chan finisher
}

func (c *course) start(ctx context.Context, l leg) context.CancelCauseFunc {
	ctx, stop := context.WithCancelCause(ctx)
	go func() {
		a := c.run.send(ctx, c.route, l, func(piece providers.Chunk) {
			c.once.Do(func() { close(c.started) })
			if c.stage.show(l.n, piece) {
				select {
				case c.shown <- l.n:
				default:
				}
			}
		})
		c.done <- finisher{l, a}
	}()
	return stop
}

// finish waits for both calls. It returns the one that counts, with the tries of
// the other; that one is recorded.
func (c *course) finish(
	ctx context.Context, first leg, stopFirst, stopRival context.CancelCauseFunc,
) (leg, attempt) {
	stopOther := func(n int) {
		if n == first.n {
			stopRival(errOutrun)
		} else {
			stopFirst(errOutrun)
		}
	}
	shown, ended := 0, []finisher{}
	for len(ended) < 2 {
		select {
		case n := <-c.shown:
			if shown == 0 {
				shown = n
				stopOther(n)
			}
		case f := <-c.done:
			if ended = append(ended, f); f.succeeded() {
				stopOther(f.n)
			}
		}
	}
	won, lost := ended[0], ended[1]
	if lost.outdoes(won, shown) {
		won, lost = lost, won
	}
	d := lost.lost()
	c.run.closeCall(ctx, lost.leg, d, Outrun)
	won.Tries, won.n = first.Tries+d.tries, max(won.n, lost.n)
	return won.leg, won.attempt
}

// outdoes reports whether f counts rather than other, which was there before it:
// a success does, and of two failures that of the call that was shown, else that
// of the first.
func (f finisher) outdoes(other finisher, shown int) bool {
	switch {
	case f.succeeded() != other.succeeded():
		return f.succeeded()
	case f.succeeded():
		return false
	case shown != 0:
		return f.n == shown
	default:
		return f.n < other.n
	}
}

// lost is what is recorded of a call that does not count.
func (f finisher) lost() decision {
	d := decision{call: callOf(f.Work, f.attempt), gap: f.gap}
	switch {
	case f.held != nil:
		d.message = f.held.Error()
	case f.failure != nil:
		d.message = safe(f.failure.Message, maxMessage)
		if f.isTry(f.Work) {
			d.tries = 1
		}
	}
	return d
}

// hedge returns the target of a second call and how long the first has until then,
// if there may be one. Every call that might be hedged counts for the budget.
func (r *Runner) hedge(route jobs.Route, l leg) (target int, late time.Duration, ok bool) {
	if route.HedgeBudget <= 0 || r.cfg.HedgeAfter == nil || l.permit.Probe {
		return 0, 0, false
	}
	r.hedges.count(route)
	for i := 1; i < len(route.Targets); i++ {
		target = (l.Target + i) % len(route.Targets)
		if t := route.Targets[target]; l.providers[t.Provider] != nil {
			late, ok = r.cfg.HedgeAfter(jobs.Target{Provider: l.Provider, Model: l.Model}, route.HedgeBudget)
			return target, late, ok
		}
	}
	return 0, 0, false
}
