package lane_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

// TestACallThatNeedsMoreThanALimitIsSent: once, and the others wait for as long as
// it uses the limit up, a minute at most.
func TestACallThatNeedsMoreThanALimitIsSent(t *testing.T) {
	t.Parallel()
	inBubble(t, limited(lane.Limits{InputTokensPerMinute: 1000}), func(g *rig) {
		time.Sleep(time.Hour)
		big := lane.Ask{Lane: here, Call: newCall(g.t), Input: 900_000_000}
		g.ask(here) // what costs nothing is not metered
		time.Sleep(5 * time.Second)
		if v := g.askFor(big); !v.Admitted {
			g.t.Fatalf("got %+v, want a permit", v)
		}
		small := lane.Ask{Lane: here, Call: newCall(g.t), Input: 1}
		if v := g.askFor(small); v.Reason != lane.RateLimit || v.For < 50*time.Second || v.For > time.Minute {
			g.t.Errorf("got %+v, want a wait of about a minute", v)
		}
		g.admit()
	})
}

// TestInvariant7ADebtOutlivesRedis: Redis is emptied again and again while calls
// use up the limit for longer than lies between, by what was reserved or by more.
// What is admitted stays within the limit, a second's burst and the last call.
func TestInvariant7ADebtOutlivesRedis(t *testing.T) {
	t.Parallel()
	for name, reserved := range map[string]int64{"reserved": 400, "more than was reserved": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, limited(lane.Limits{OutputTokensPerMinute: 1000}), func(g *rig) {
				const each, length = 400, 20 * time.Minute
				result := lane.Result{Usage: providers.Usage{Known: true, OutputTokens: each}}
				begun, used := time.Now(), 0.0
				for time.Since(begun) < length {
					p := g.admitFor(time.Minute, lane.Ask{Lane: here, Output: reserved})
					if most := 1000 * (time.Since(begun) + time.Second).Minutes(); used > most {
						g.t.Fatalf("%.0f tokens in %v before another call, want at most %.0f", used, time.Since(begun), most)
					}
					g.settle(p, result)
					used += each
					g.flush()
				}
				if least := 0.7 * 1000 * length.Minutes(); used < least {
					g.t.Errorf("%.0f tokens in %v, want at least %.0f", used, length, least)
				}
			})
		})
	}
}

// TestADebtThatCannotBeKeptIsNotMade: nothing is admitted, and nothing reserved.
func TestADebtThatCannotBeKeptIsNotMade(t *testing.T) {
	t.Parallel()
	inBubble(t, limited(lane.Limits{OutputTokensPerMinute: 1000, Concurrency: 1}), func(g *rig) {
		g.settle(g.admitFor(3*time.Second, lane.Ask{Lane: here, Output: 1}), good)
		time.Sleep(time.Minute)
		g.store.Fail = func(context.Context, string) error { return errAway }
		v, err := g.lanes.Admit(g.t.Context(), lane.Ask{Lane: here, Call: newCall(g.t), Output: 500})
		if !errors.Is(err, errAway) || v.Admitted {
			g.t.Errorf("got %+v, %v; want nothing and why", v, err)
		}
		g.store.Fail = nil
		g.admitFor(3*time.Second, lane.Ask{Lane: here, Output: 500})
	})
}

func TestReservationsAreCorrected(t *testing.T) {
	t.Parallel()
	known := func(output int64) providers.Usage { return providers.Usage{Known: true, OutputTokens: output} }
	for _, c := range []struct {
		name   string
		result lane.Result
		// wait is how long the limit is used up afterwards.
		wait time.Duration
	}{
		{"used as reserved", lane.Result{Usage: known(500)}, 30 * time.Second},
		{"used less", lane.Result{Usage: known(100)}, 6 * time.Second},
		{"used more", lane.Result{Usage: known(2000)}, 120 * time.Second},
		{"unknown", lane.Result{Class: providers.TimeoutTotal}, 30 * time.Second},
		{"cancelled", broken, 30 * time.Second},
		{"refused at the door", lane.Result{Class: providers.BadRequest}, 0},
		{"never sent", lane.Result{Unsent: true}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			onBoth(t, limited(lane.Limits{OutputTokensPerMinute: 1000}), func(g *rig) {
				p := g.admitFor(3*time.Second, lane.Ask{Lane: here, Output: 500}) // as soon as may be
				for range 3 {
					g.settle(p, c.result)
				}
				v := g.askFor(lane.Ask{Lane: here, Call: newCall(g.t), Output: 1})
				if v.For > c.wait || v.For < c.wait-time.Second {
					g.t.Errorf("wait %v, want about %v", v.For, c.wait)
				}
			})
		})
	}
}

func TestLimitsAreLearned(t *testing.T) {
	t.Parallel()
	onBoth(t, limited(lane.Limits{RequestsPerMinute: 6000}), func(g *rig) {
		g.settle(g.admitWithin(time.Second), good)
		told := providers.Quota{Requests: providers.QuotaLimit{Limit: 6, Remaining: 0}, Tokens: providers.QuotaLimit{Limit: -1}}
		g.settle(g.admitWithin(time.Second), lane.Result{Quota: told})
		if v := g.refuse(lane.RateLimit); v.For < 5*time.Second || v.For > 10*time.Second {
			g.t.Errorf("wait %v, want about the 10s of 6 a minute, because none is left", v.For)
		}
		if v := g.ask(lane.Lane{Pool: here.Pool, Target: "sim/two"}); !v.Admitted && v.For > time.Second {
			g.t.Errorf("another lane of the pool: got %+v, want its pool's pace", v)
		}
		state := g.states(here)[0]
		if state.Learned != (lane.Learned{Requests: 6}) || state.Requests > 7 {
			g.t.Errorf("got %+v, want what was learned", state)
		}
	})
}

func TestWhatWasLearnedIsForgotten(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		g.settle(g.admit(), lane.Result{Quota: providers.Quota{Requests: providers.QuotaLimit{Limit: 1}}})
		g.refuse(lane.RateLimit)
		time.Sleep(20 * time.Minute)
		for range 10 {
			g.admit()
		}
	})
}

// TestStatesTellForHowLongALimitIsUsedUp: as long as who asks is told to wait.
func TestStatesTellForHowLongALimitIsUsedUp(t *testing.T) {
	t.Parallel()
	inBubble(t, limited(lane.Limits{RequestsPerMinute: 3}), func(g *rig) {
		g.states(here) // what was not there begins used up
		time.Sleep(time.Minute)
		if s := g.states(here)[0]; s.UsedUp != 0 {
			g.t.Errorf("before the first call: used up for %v", s.UsedUp)
		}
		g.settle(g.admit(), good)
		s, v := g.states(here)[0], g.refuse(lane.RateLimit)
		if s.UsedUp <= 0 || (s.UsedUp-v.For).Abs() > time.Millisecond {
			g.t.Errorf("used up for %v, who asks waits %v", s.UsedUp, v.For)
		}
		time.Sleep(v.For)
		if s := g.states(here)[0]; s.UsedUp != 0 {
			g.t.Errorf("when the next call is let through: used up for %v", s.UsedUp)
		}
		g.admit()
	})
}

func (g *rig) states(lanes ...lane.Lane) []lane.State {
	g.t.Helper()
	states, err := g.lanes.States(g.t.Context(), lanes...)
	if err != nil || len(states) != len(lanes) {
		g.t.Fatalf("States() = %d states, %v; want %d", len(states), err, len(lanes))
	}
	return states
}

// TestWhoWaitsForALanesLimitTakesNoTurnOfItsPool: the others of the pool wait for what
// is the pool's alone.
func TestWhoWaitsForALanesLimitTakesNoTurnOfItsPool(t *testing.T) {
	t.Parallel()
	inBubble(t, limited(lane.Limits{RequestsPerMinute: 600}), func(g *rig) {
		two := lane.Lane{Pool: here.Pool, Target: "sim/two"}
		told := providers.Quota{Requests: providers.QuotaLimit{Limit: 30}} // none is left
		g.settle(g.admitFor(time.Second, lane.Ask{Lane: two}), lane.Result{Quota: told})
		g.refuse(lane.RateLimit)
		if v := g.ask(two); v.Admitted || v.For < time.Second {
			g.t.Fatalf("got %+v, want to wait for what was told of the lane", v)
		}
		time.Sleep(time.Second)
		for range 20 {
			if v := g.ask(here); !v.Admitted && v.For > 500*time.Millisecond {
				g.t.Fatalf("got %+v, want to wait for the next of 600 a minute, or the one after", v)
			} else if !v.Admitted {
				return
			}
		}
		g.t.Error("got 20 permits of 600 a minute at once")
	})
}
