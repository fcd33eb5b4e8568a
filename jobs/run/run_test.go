package run_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
)

// byModel makes what the rig calls depend on the model.
func byModel(first, second func(context.Context, providers.Request) (providers.Response, error)) func(
	context.Context, providers.Request,
) (providers.Response, error) {
	return func(ctx context.Context, req providers.Request) (providers.Response, error) {
		if req.Model == "m1" {
			return first(ctx, req)
		}
		return second(ctx, req)
	}
}

func succeeding(context.Context, providers.Request) (providers.Response, error) { return answer, nil }

// TestFailoverIsPartOfTheRun: the next target is called at once, under a row of its
// own that is there first; the failed call counts.
func TestFailoverIsPartOfTheRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.work.Route = "default"
		g.call = byModel(failing(providers.Error{Class: providers.ServerError, Message: "it broke"}),
			func(context.Context, providers.Request) (providers.Response, error) {
				if len(under(g, &g.opened)) != 1 {
					t.Error("the second call was made before its row")
				}
				return answer, nil
			})
		g.take()
		o := g.outcome()
		if o.Status != jobs.StatusSucceeded || o.Tries != 1 || o.Call.Provider != "second" || o.Call.Model != "m2" {
			t.Errorf("outcome %+v, want the second target's answer and one try", o)
		}
		opened, closed, claimed := under(g, &g.opened), under(g, &g.closed), under(g, &g.claims)[0].Call
		if len(opened) != 1 || opened[0].ID != o.Call.ID || opened[0].ID == claimed || opened[0].Status != "" {
			t.Errorf("opened %+v, want the second call's row", opened)
		}
		if len(closed) != 1 || closed[0].ID != claimed || closed[0].ErrorClass != providers.ServerError {
			t.Errorf("closed %+v, want the first call's failure", closed)
		}
		requested := under(g, &g.requested)
		if len(requested) != 2 || requested[0].IdempotencyKey == requested[1].IdempotencyKey {
			t.Errorf("requested %+v, want two calls with keys of their own", requested)
		}
		attempts := under(g, &g.attempts)
		if len(attempts) != 2 || attempts[0].Result != run.FailedOver || attempts[0].Message != "it broke" || attempts[1].Tries != 1 {
			t.Errorf("the observer was told %+v, want the failed call as well", attempts)
		}
	})
}

// TestEachTargetIsCalledOnceInARun: then the first is called again, later.
func TestEachTargetIsCalledOnceInARun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.work.Route = "default"
		g.call = failing(providers.Error{Class: providers.Overloaded})
		g.take()
		r := g.rescheduling()
		if n := len(under(g, &g.requested)); n != 2 || r.Tries != 2 || r.Target != 0 || r.WaitingOn != jobs.WaitingOnRetry ||
			!r.RunAt.After(time.Now()) {
			t.Errorf("%d calls, then %+v; want two, two tries, and the first again later", n, r)
		}
	})
}

// TestTriesOfARunAreBounded: also those made in place.
func TestTriesOfARunAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.work.Route, g.work.Tries = "default", 4
		g.call = failing(providers.Error{Class: providers.Overloaded})
		g.take()
		if o := g.outcome(); o.Status != jobs.StatusFailed || o.Tries != 1 || len(under(g, &g.requested)) != 1 {
			t.Errorf("%d calls and %+v, want the last try to end it", len(under(g, &g.requested)), o)
		}
	})
}

// TestNobodySeesTwoBeginnings: what was shown of a failed answer is taken back by a
// new run, so another target is called in one.
func TestNobodySeesTwoBeginnings(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shown := &recorded{}
		g := newRig(t, shown.live)
		g.work.Route = "default"
		g.call = func(ctx context.Context, _ providers.Request) (providers.Response, error) {
			piece(ctx, `"half"`)
			return providers.Response{}, &providers.Error{Class: providers.Truncated}
		}
		g.take()
		if what, tries, _ := g.became(); what != "next target" || tries != 1 || len(under(g, &g.requested)) != 1 {
			t.Errorf("became %q with %d tries, want the next target in a run of its own", what, tries)
		}
	})
}

// TestRunGoesOnWhereTheNextTargetCannotBeCalled: whatever keeps it from being so.
func TestRunGoesOnWhereTheNextTargetCannotBeCalled(t *testing.T) {
	t.Parallel()
	want := map[string]int{"away": 1}
	for name, err := range map[string]error{"past": jobs.ErrStale, "away": away, "refused": errors.New("no")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.work.Route = "default"
				g.opens = func(jobs.Call) error { return err }
				g.call = failing(providers.Error{Class: providers.NotFound})
				g.take()
				if what, tries, _ := g.became(); what != "next target" || tries != 1 {
					t.Errorf("became %q with %d tries, want a run of its own", what, tries)
				}
				if closed := under(g, &g.closed); len(closed) != want[name] || len(closed) == 1 && closed[0].ID != g.opened[0].ID {
					t.Errorf("closed %+v, want the call whose row may have been kept", closed)
				}
			})
		})
	}
}

// TestARunMayBeginWithAnyTarget: the others follow, the first among them.
func TestARunMayBeginWithAnyTarget(t *testing.T) {
	t.Parallel()
	for _, class := range []providers.Class{providers.NotFound, providers.ServerError} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.work.Route, g.work.Target, g.work.Provider, g.work.Model = "default", 1, "second", "m2"
				g.call = byModel(succeeding, failing(providers.Error{Class: class}))
				g.take()
				if o := g.outcome(); o.Status != jobs.StatusSucceeded || o.Call.Provider != "first" || o.Tries != 1 {
					t.Errorf("outcome %+v, want the first target's answer", o)
				}
			})
		})
	}
}

// TestTimePassesWhileACallIsRecorded: then the next may not be made any more, and
// its lane is told so.
func TestTimePassesWhileACallIsRecorded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{}
		g := newRig(t, l.configure)
		g.work.Route, g.work.StopAt = "default", time.Now().Add(time.Second)
		g.call = failing(providers.Error{Class: providers.NotFound})
		back := time.Now().Add(3 * time.Second)
		g.closes = func(jobs.Call) error {
			if time.Now().Before(back) {
				return away
			}
			return nil
		}
		g.take()
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(under(g, &g.requested)); n != 1 || len(l.settled) != 2 || !l.settled[1].Unsent {
			t.Errorf("%d calls, settled %+v; want one, and the other unsent", n, l.settled)
		}
		if o := g.outcome(); o.Status != jobs.StatusFailed || o.StopAt.IsZero() {
			t.Errorf("outcome %+v, want a conditional end for want of time", o)
		}
	})
}

// TestTurnsAreNotTakenInVain: where the next target is shut, the pause is that of a
// retry.
func TestTurnsAreNotTakenInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.work.Route, g.work.Tries, g.opens = "default", 3, refuses
		g.call = failing(providers.Error{Class: providers.ServerError})
		var sum time.Duration
		for range 20 {
			g.note(func() { g.given = nil })
			now := time.Now()
			g.take()
			sum += g.rescheduling().RunAt.Sub(now)
		}
		if sum < 20*time.Second {
			t.Errorf("20 pauses of up to 8 s are %v together, want those of retries", sum)
		}
	})
}
