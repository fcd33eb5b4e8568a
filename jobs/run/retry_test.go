package run_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// TestInvariant6HintIsObeyedAndJitterBounded: the next run is never before the
// hint, to the millisecond, and never later than the jitter allows.
func TestInvariant6HintIsObeyedAndJitterBounded(t *testing.T) {
	t.Parallel()
	for tries, ceiling := range []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second} {
		for _, hint := range []time.Duration{0, 1, 2345 * time.Millisecond, 10 * time.Minute} {
			t.Run(fmt.Sprintf("%d tries, hint %v", tries, hint), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					g := newRig(t)
					g.work.Tries = tries
					g.call = failing(providers.Error{Class: providers.Overloaded, RetryAfter: hint})
					low, high := time.Duration(1<<62), time.Duration(0)
					for range 300 {
						time.Sleep(123457 * time.Nanosecond)
						g.note(func() { g.given = nil })
						g.take()
						runAt := g.rescheduling().RunAt
						if !runAt.Equal(runAt.Truncate(time.Millisecond)) {
							t.Fatalf("RunAt %v is not of whole milliseconds: a store might round it down", runAt)
						}
						wait := time.Until(runAt)
						low, high = min(low, wait), max(high, wait)
					}
					if low < hint || low > hint+ceiling/10 {
						t.Errorf("shortest wait %v, want at least the hint of %v and little more", low, hint)
					}
					if high > hint+ceiling+time.Millisecond || high < hint+ceiling*9/10 {
						t.Errorf("longest wait %v, want up to %v more than the hint", high, ceiling)
					}
				})
			})
		}
	}
}

// TestInvariant5RateLimitsUseNoTry: five simulated hours of nothing but 429.
func TestInvariant5RateLimitsUseNoTry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.work.StopAt = time.Now().Add(24 * time.Hour)
		g.call = failing(providers.Error{Class: providers.RateLimited, HTTPStatus: 429, RetryAfter: 20 * time.Second})
		g.rescheduled = func(r jobs.Rescheduling) error {
			g.note(func() { g.work.Tries += r.Tries })
			next := r.Task
			next.Fence++
			time.AfterFunc(time.Until(r.RunAt), func() { _ = g.queue.Enqueue(context.Background(), []jobs.Task{next}) })
			return nil
		}
		g.take()
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if len(under(g, &g.given)) < 800 || len(under(g, &g.outcomes)) != 0 || g.work.Tries != 0 {
			t.Errorf("%d runs, %d outcomes, %d tries; want hundreds of runs and neither", len(under(g, &g.given)), len(under(g, &g.outcomes)), g.work.Tries)
		}
	})
}

// TestInvariant5WaitsWithoutAHintGrow: a provider that only says "not now" is not
// asked every half second for ever, and time is not given up for it.
func TestInvariant5WaitsWithoutAHintGrow(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		fence   int64
		left    time.Duration
		hint    time.Duration
		ceiling time.Duration
	}{
		{fence: 1, left: time.Hour, ceiling: time.Second},
		{fence: 4, left: time.Hour, ceiling: 8 * time.Second},
		{fence: 1 << 40, left: time.Hour, ceiling: time.Minute},
		{fence: 100, left: 30 * time.Second, ceiling: 15 * time.Second},
		{fence: 100, left: time.Hour, hint: 20 * time.Second, ceiling: 21 * time.Second},
	} {
		t.Run(fmt.Sprintf("%+v", test), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.work.Task.Fence = test.fence
				g.call = failing(providers.Error{Class: providers.RateLimited, HTTPStatus: 429, RetryAfter: test.hint})
				high := time.Duration(0)
				for range 300 {
					g.note(func() { g.given, g.work.StopAt = nil, time.Now().Add(test.left) })
					g.take()
					r := g.rescheduling()
					if r.Tries != 0 {
						t.Fatalf("%d tries for a wait, want none", r.Tries)
					}
					high = max(high, time.Until(r.RunAt))
				}
				if high > test.ceiling+time.Millisecond || high < test.ceiling*9/10 {
					t.Errorf("longest wait %v, want up to %v", high, test.ceiling)
				}
			})
		})
	}
}

func TestLastTryFailsWithTheClass(t *testing.T) {
	t.Parallel()
	for _, class := range []providers.Class{providers.ServerError, providers.ContextLength} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.work.Route, g.work.Tries = "default", 4
				g.call = failing(providers.Error{Class: class, Message: "no"})
				g.take()
				if o := g.outcome(); o.Status != jobs.StatusFailed || o.Error.Code != string(class) || o.Tries != 1 {
					t.Errorf("outcome %+v, want failed as %s", o, class)
				}
			})
		})
	}
}

func TestNoTimeForAnotherTry(t *testing.T) {
	t.Parallel()
	late := providers.Error{Class: providers.RateLimited, Message: "slow down", RetryAfter: 2 * time.Hour}
	t.Run("ends now and says why", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t)
			g.call = failing(late)
			g.take()
			o := g.outcome()
			if !o.StopAt.Equal(g.work.StopAt) || o.Error.Code != "rate_limited" ||
				!strings.Contains(o.Error.Message, "slow down; the provider asked to wait 2h0m0s") {
				t.Errorf("outcome %+v with error %+v, want a conditional end that says why", o, o.Error)
			}
		})
	})
	t.Run("goes to the next target if there is one", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t)
			g.work.Route, g.opens = "default", refuses
			g.call = failing(late)
			g.take()
			if what, _, _ := g.became(); what != "next target" {
				t.Errorf("became %q, want the next target", what)
			}
		})
	})
	t.Run("waits if a job with more time has come", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t)
			g.call = failing(late)
			g.finished = func(jobs.Outcome) ([]uuid.UUID, error) { return nil, jobs.ErrProlonged }
			g.take()
			if len(under(g, &g.given)) != 1 || under(g, &g.given)[0].RunAt.Before(time.Now().Add(2*time.Hour)) || under(g, &g.given)[0].Tries != 0 {
				t.Errorf("reschedulings %+v, want one after the hint", under(g, &g.given))
			}
		})
	})
	t.Run("does not call after the deadline", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t)
			g.work.StopAt = time.Now()
			g.take()
			if o := g.outcome(); len(under(g, &g.requested)) != 0 || o.Error.Code != jobs.CodeExpired || o.StopAt.IsZero() {
				t.Errorf("%d calls and outcome %+v, want none and a conditional end", len(under(g, &g.requested)), o)
			}
		})
	})
	t.Run("the call ends with the time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			g := newRig(t)
			g.work.StopAt = time.Now().Add(90 * time.Second)
			g.take()
			if total := under(g, &g.requested)[0].Timeouts.Total; total != 90*time.Second {
				t.Errorf("the call may take %v, want the 90s left", total)
			}
		})
	})
}
