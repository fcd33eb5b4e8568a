package run_test

import (
	"context"
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
func hedged(c *run.Config) {
	first, second := jobs.Target{Provider: "first", Model: "m1"}, jobs.Target{Provider: "second", Model: "m2"}
	c.Catalog = jobs.NewCatalog([]jobs.Route{{
		Name: "default", Targets: []jobs.Target{first, second}, MaxAttempts: 5, HedgeBudget: 1,
		Timeouts: providers.Timeouts{Total: 10 * time.Minute},
	}}, nil, jobs.Route{})
	c.HedgeAfter = func(t jobs.Target, _ float64) (time.Duration, bool) { return time.Second, t == first }
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
