package run_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

// hedged makes calls of the route default be hedged after a second, as often as
// there are calls.
func hedged(c *run.Config) { hedgedBy(1, "m1", "m2")(c) }

// hedgedBy does so with a budget and the given models, the first of which may be
// hedged.
func hedgedBy(budget float64, models ...string) func(*run.Config) {
	providerOf := map[string]string{"m1": "first", "m2": "second", "m3": "second"}
	var targets []jobs.Target
	for _, m := range models {
		targets = append(targets, jobs.Target{Provider: providerOf[m], Model: m})
	}
	return func(c *run.Config) {
		c.Catalog = jobs.NewCatalog([]jobs.Route{{
			Name: "default", Targets: targets, MaxAttempts: 5, HedgeBudget: budget, Timeouts: providers.Timeouts{Total: 10 * time.Minute},
		}}, nil, jobs.Route{})
		c.HedgeAfter = func(t jobs.Target, _ float64) (time.Duration, bool) { return time.Second, t == targets[0] }
	}
}

// after is a call that brings its first piece after a time, and then all of it
// after another.
func after(first, rest time.Duration) func(context.Context, providers.Request) (providers.Response, error) {
	return func(ctx context.Context, req providers.Request) (providers.Response, error) {
		for i, d := range []time.Duration{first, rest} {
			t := time.NewTimer(d)
			defer t.Stop()
			select {
			case <-t.C:
			case <-ctx.Done():
				return providers.Response{}, &providers.Error{Class: providers.Cancelled}
			}
			if i == 0 {
				piece(ctx, `"`+req.Model+`"`)
			}
		}
		return answer, nil
	}
}

// later is a call that fails so after a time.
func later(d time.Duration, e providers.Error) func(context.Context, providers.Request) (providers.Response, error) {
	return func(ctx context.Context, req providers.Request) (providers.Response, error) {
		time.Sleep(d)
		return failing(e)(ctx, req)
	}
}

// race runs the route default with the two targets' calls to its end.
func race(
	t *testing.T, first, second func(context.Context, providers.Request) (providers.Response, error), changes ...func(*run.Config),
) *rig {
	t.Helper()
	g := newRig(t, append([]func(*run.Config){hedged}, changes...)...)
	g.work.Route, g.call = "default", byModel(first, second)
	g.take()
	time.Sleep(time.Minute)
	synctest.Wait()
	return g
}

// TestALateFirstTokenIsHedged: the first success wins; the other is cancelled,
// waited for and recorded, and is no fault of its lane's.
func TestALateFirstTokenIsHedged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{}
		start := time.Now()
		g := race(t, after(20*time.Second, 0), after(time.Second, time.Second), l.configure)
		o := g.outcome()
		if o.Status != jobs.StatusSucceeded || o.Call.Provider != "second" || !o.At.Equal(start.Add(3*time.Second)) || o.Tries != 0 {
			t.Errorf("outcome %+v, want the hedge's, 3 s after the start", o)
		}
		closed := under(g, &g.closed)
		if len(closed) != 1 || closed[0].Provider != "first" || closed[0].Status != jobs.CallCancelled || closed[0].Latency != 3*time.Second {
			t.Errorf("closed %+v, want the first call, cancelled when the other was there", closed)
		}
		if len(l.settled) != 2 || l.settled[0].Class != "" || l.settled[1].Class != providers.Cancelled {
			t.Errorf("settled %+v, want a success and a cancelled call", l.settled)
		}
		if a := under(g, &g.attempts); len(a) != 2 || a[0].Result != run.Outrun || a[1].Result != run.Succeeded {
			t.Errorf("the observer was told %+v, want both calls", a)
		}
	})
}

func TestWhatIsNotLateIsNotHedged(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(context.Context, providers.Request) (providers.Response, error){
		"its first token is there": after(900*time.Millisecond, 30*time.Second),
		"it is over":               later(900*time.Millisecond, providers.Error{Class: providers.BadRequest}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := race(t, first, succeeding)
				if n := len(under(g, &g.requested)); n != 1 {
					t.Errorf("%d calls, want one", n)
				}
			})
		})
	}
}

// opening is a call that says that its answer has begun, does so after a time, and is
// over after another.
func opening(first, rest time.Duration) func(context.Context, providers.Request) (providers.Response, error) {
	return func(ctx context.Context, req providers.Request) (providers.Response, error) {
		role(ctx, `"role of `+req.Model+`"`)
		return after(first, rest)(ctx, req)
	}
}

// TestARoleIsNoToken: what says that an answer has begun and nothing of it keeps no
// hedge from being made, nor from being shown.
func TestARoleIsNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &recorded{heard: true}
		g := race(t, opening(20*time.Second, 0), opening(time.Second, time.Second), s.live)
		if o := g.outcome(); o.Call.Provider != "second" || !slices.Equal(s.pieces, []string{`"role of m2"`, `"m2"`}) {
			t.Errorf("outcome %+v, shown %q; want the hedge's alone, from its role on", o, s.pieces)
		}
	})
}

// TestAThoughtIsAToken though there may be no words for it.
func TestAThoughtIsAToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &recorded{heard: true}
		g := race(t, func(ctx context.Context, req providers.Request) (providers.Response, error) {
			tell(ctx, providers.Chunk{Token: true})
			return after(20*time.Second, 0)(ctx, req)
		}, succeeding, s.live)
		if n := len(under(g, &g.requested)); n != 1 || !slices.Equal(s.pieces, []string{`"m1"`}) {
			t.Errorf("%d calls, shown %q; want one, and its text", n, s.pieces)
		}
	})
}

// TestAHedgeIsNotMadeInVain: when the first call has spoken, or is over, by the time
// there is leave for another, that is given back.
func TestAHedgeIsNotMadeInVain(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(context.Context, providers.Request) (providers.Response, error){
		"its first token is there": after(1200*time.Millisecond, 30*time.Second),
		"it is over":               later(1200*time.Millisecond, providers.Error{Class: providers.BadRequest}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &lanes{}
				g := race(t, first, succeeding, l.configure, func(c *run.Config) { c.Store = slowStore{c.Store} })
				if n := len(under(g, &g.requested)); n != 1 {
					t.Errorf("%d calls, want one", n)
				}
				if !slices.ContainsFunc(l.settled, func(s settled) bool { return s.Unsent && s.Target == "second/m2" }) {
					t.Errorf("settled %+v, want the hedge's leave given back", l.settled)
				}
				if c := under(g, &g.closed); len(c) != 1 || c[0].Status != jobs.CallCancelled || c[0].Latency != 0 {
					t.Errorf("closed %+v, want the call that was not made", c)
				}
			})
		})
	}
}

// slowStore takes half a second to open a call.
type slowStore struct{ jobs.RunStore }

func (s slowStore) OpenCall(ctx context.Context, worker uuid.UUID, c jobs.Call) error {
	time.Sleep(500 * time.Millisecond)
	return s.RunStore.OpenCall(ctx, worker, c)
}

// TestAHedgeThatIsNotMadeIsNotSpent: a call earns half a hedge. The second of three
// has one to spend; where it gets no leave, the third has it still.
func TestAHedgeThatIsNotMadeIsNotSpent(t *testing.T) {
	t.Parallel()
	for _, refused := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			l, run := &lanes{}, 0
			l.admit = func(a lane.Ask) (lane.Verdict, error) {
				return lane.Verdict{Admitted: !refused || run == 3 || a.Pool == "first", Reason: lane.Capacity, For: time.Second}, nil
			}
			g := newRig(t, hedgedBy(0.5, "m1", "m2"), l.configure)
			g.work.Route, g.call = "default", byModel(after(20*time.Second, 0), succeeding)
			for run = 1; run <= 3; run++ {
				g.note(func() { g.requested = nil })
				g.take()
				time.Sleep(time.Minute)
				synctest.Wait()
			}
			if n := len(under(g, &g.requested)); refused && n != 2 || !refused && n != 1 {
				t.Errorf("refused %v: %d calls in the third run, want the hedge where it was not spent", refused, n)
			}
		})
	}
}

// TestNoTargetIsCalledTwiceInARun: neither by failover after a hedge nor the other way
// round.
func TestNoTargetIsCalledTwiceInARun(t *testing.T) {
	t.Parallel()
	down := providers.Error{Class: providers.Overloaded}
	for name, c := range map[string]struct {
		models []string
		call   func(context.Context, providers.Request) (providers.Response, error)
		want   []string
	}{
		"a hedge, then failover": {[]string{"m1", "m2", "m3"}, later(3*time.Second, down), []string{"m1", "m2", "m3"}},
		"failover to what is slow": {
			[]string{"m2", "m1"}, byModel(failing(down), later(3*time.Second, down)), []string{"m1", "m2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, hedgedBy(1, c.models...))
				g.work.Route, g.call = "default", c.call
				g.take()
				time.Sleep(time.Minute)
				synctest.Wait()
				var got []string
				for _, r := range under(g, &g.requested) {
					got = append(got, r.Model)
				}
				if !slices.Equal(got, c.want) || g.rescheduling().Tries != len(c.want) {
					t.Errorf("called %v, then %+v; want %v, each a try", got, g.rescheduling(), c.want)
				}
			})
		})
	}
}

// TestTheFirstErrorDoesNotWin: as long as the other call may yet succeed.
func TestTheFirstErrorDoesNotWin(t *testing.T) {
	t.Parallel()
	broken := providers.Error{Class: providers.ServerError, Message: "it broke"}
	for name, c := range map[string]struct {
		first, second func(context.Context, providers.Request) (providers.Response, error)
		winner        string
	}{
		"the hedge fails":      {after(5*time.Second, 0), failing(broken), "first"},
		"the first call fails": {later(2*time.Second, broken), after(5*time.Second, 0), "second"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := race(t, c.first, c.second)
				if o := g.outcome(); o.Status != jobs.StatusSucceeded || o.Call.Provider != c.winner || o.Tries != 1 {
					t.Errorf("outcome %+v, want the answer of %s and the failure's try", o, c.winner)
				}
				if closed := under(g, &g.closed); len(closed) != 1 || closed[0].ErrorClass != providers.ServerError {
					t.Errorf("closed %+v, want the failure", closed)
				}
			})
		})
	}
}

// TestBothMayFail: then the first call's failure decides, and both are tries.
func TestBothMayFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := race(t, later(2*time.Second, providers.Error{Class: providers.Overloaded}),
			later(3*time.Second, providers.Error{Class: providers.ServerError}))
		r := g.rescheduling()
		if r.Call.ErrorClass != providers.Overloaded || r.Tries != 2 || len(under(g, &g.requested)) != 2 {
			t.Errorf("%d calls, then %+v; want two, and the first's failure", len(under(g, &g.requested)), r)
		}
	})
}

// TestWhoListensIsShownOneAnswer: the first token they see decides, though the other
// call would be over sooner.
func TestWhoListensIsShownOneAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &recorded{heard: true}
		g := race(t, after(2*time.Second, 20*time.Second), after(3*time.Second, 0), s.live)
		if o := g.outcome(); o.Call.Provider != "first" || len(s.pieces) != 1 || s.pieces[0] != `"m1"` {
			t.Errorf("outcome %+v, shown %q; want the first call's alone", o, s.pieces)
		}
	})
}

// TestAHedgeNeedsLeave: its lane's, and the store's to open its row.
func TestAHedgeNeedsLeave(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{admit: func(a lane.Ask) (lane.Verdict, error) {
			return lane.Verdict{Admitted: a.Pool == "first", Reason: lane.Capacity, For: time.Second}, nil
		}}
		g := race(t, after(20*time.Second, 0), succeeding, l.configure)
		if o := g.outcome(); o.Call.Provider != "first" || len(under(g, &g.requested)) != 1 {
			t.Errorf("outcome %+v after %d calls, want the first call's alone", o, len(under(g, &g.requested)))
		}
		if c := under(g, &g.closed); len(c) != 1 || c[0].Status != jobs.CallCancelled || c[0].Latency != 0 {
			t.Errorf("closed %+v, want the call that was not made", c)
		}
	})
}

// TestACancelledRaceEnds: both calls are stopped and recorded.
func TestACancelledRaceEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, hedged)
		g.work.Route, g.call = "default", hang
		g.take()
		time.Sleep(2 * time.Second)
		g.runner.Stop([]uuid.UUID{g.work.Task.Execution})
		synctest.Wait()
		if r, c := g.rescheduling(), under(g, &g.closed); r.Call.Status != jobs.CallCancelled || r.Tries != 0 ||
			len(c) != 1 || c[0].Status != jobs.CallCancelled {
			t.Errorf("given back %+v, closed %+v; want both calls cancelled, for free", r, c)
		}
	})
}
