package run

import (
	"context"
	"errors"
	"sync"
	"time"

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
func (u *run) race(ctx context.Context, first leg) (leg, attempt) {
	late, ok := u.hedgeAfter(first)
	if !ok {
		voice := u.stage.voice(first.n)
		return first, u.send(ctx, first, func(c providers.Chunk) { voice.say(c) })
	}
	c := &course{run: u, spoke: make(chan struct{}), shown: make(chan int, 2), done: make(chan finisher, 2)}
	stopFirst := c.start(ctx, first)
	defer stopFirst(nil)
	if c.silentFor(ctx, late) {
		if rival, ok := c.rival(ctx, first); ok {
			stopRival := c.start(ctx, rival)
			defer stopRival(nil)
			return c.finish(ctx, first, stopFirst, stopRival)
		}
	}
	f := <-c.done
	return f.leg, f.attempt
}

// hedgeAfter returns how late the call's first token is when a second call may be
// made, if it may. Every call that might be hedged counts for the budget.
func (u *run) hedgeAfter(l leg) (time.Duration, bool) {
	if _, another := u.next(l.Work); !another || u.route.HedgeBudget <= 0 || u.cfg.HedgeAfter == nil || l.permit.Probe {
		return 0, false
	}
	u.hedges.count(u.route)
	return u.cfg.HedgeAfter(targetOf(l.Work), u.route.HedgeBudget)
}

// course is one race.
type course struct {
	*run
	// spoke is closed at the first token of any call.
	spoke chan struct{}
	once  sync.Once
	// shown holds the number of a call of which somebody has seen a token.
	shown chan int
	done  chan finisher
}

func (c *course) start(ctx context.Context, l leg) context.CancelCauseFunc {
	ctx, stop := context.WithCancelCause(ctx)
	voice := c.stage.voice(l.n)
	go func() {
		a := c.send(ctx, l, func(piece providers.Chunk) {
			if piece.Token {
				c.once.Do(func() { close(c.spoke) })
			}
			if voice.say(piece) {
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

// silentFor waits so long, or until the call needs no hedge. It reports whether it
// may need one.
func (c *course) silentFor(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-c.spoke:
	case <-ctx.Done():
	case f := <-c.done:
		c.done <- f
	case <-timer.C:
	}
	return c.silent(ctx)
}

// silent reports whether the call is under way and has brought no token.
func (c *course) silent(ctx context.Context) bool {
	select {
	case <-c.spoke:
		return false
	default:
		return len(c.done) == 0 && ctx.Err() == nil
	}
}

// rival returns a second call beside first, to be made at once. It is none when the
// budget has none left, when it has no leave, or when first has spoken or ended
// while leave was asked for. Only what is made is spent.
func (c *course) rival(ctx context.Context, first leg) (leg, bool) {
	target, another := c.next(first.Work)
	if !another || !c.hedges.left(c.route) {
		return leg{}, false
	}
	rival, ok := c.begin(ctx, first, target)
	if !ok || c.silent(ctx) && c.hedges.take(c.route) {
		return rival, ok
	}
	c.withdraw(ctx, rival, errOutrun)
	return leg{}, false
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
	c.closeCall(ctx, lost.leg, d, Outrun)
	won.Tries = first.Tries + d.tries
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
