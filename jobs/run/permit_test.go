package run_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
	"github.com/penstock-dev/penstock/providers/tokens"
)

// lanes admits everything unless told otherwise, and remembers.
type lanes struct {
	mu      sync.Mutex
	admit   func(lane.Ask) (lane.Verdict, error)
	asked   []lane.Ask
	settled []settled
	renewed [][]lane.Permit
	learned []lesson
	fails   int
	// caused is what each settlement is said to have done.
	caused lane.Settled
}

type settled struct {
	lane.Permit
	lane.Result
}

func (l *lanes) configure(c *run.Config) {
	c.Lanes = l
	c.Tokens = l
}

func (l *lanes) Estimate(string, string, []byte) tokens.Estimate {
	return tokens.Estimate{Input: 30, Output: 50}
}

func (l *lanes) Learn(model string, e tokens.Estimate, u providers.Usage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.learned = append(l.learned, lesson{model, e, u})
}

// lesson is what an estimator is told.
type lesson struct {
	model    string
	estimate tokens.Estimate
	usage    providers.Usage
}

func (l *lanes) Admit(_ context.Context, a lane.Ask) (lane.Verdict, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, a)
	if l.admit != nil {
		if v, err := l.admit(a); err != nil || !v.Admitted {
			return v, err
		}
	}
	return lane.Verdict{Admitted: true, Permit: lane.Permit{Lane: a.Lane, Call: a.Call, Input: a.Input, Output: a.Output}}, nil
}

func (l *lanes) Settle(_ context.Context, p lane.Permit, r lane.Result) (lane.Settled, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fails > 0 {
		l.fails--
		return lane.Settled{}, errors.New("not now")
	}
	l.settled = append(l.settled, settled{p, r})
	done := l.caused
	done.Now = true
	return done, nil
}

func (l *lanes) Renew(_ context.Context, held []lane.Permit) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = append(l.renewed, held)
	return nil
}

// shutFor admits nothing until d has passed.
func (l *lanes) shutFor(d time.Duration, why lane.Reason) {
	until := time.Now().Add(d)
	l.admit = func(lane.Ask) (lane.Verdict, error) {
		left := time.Until(until)
		return lane.Verdict{Admitted: left <= 0, Reason: why, For: left}, nil
	}
}

// TestEachCallIsAdmittedAndSettled: under its own name, with what it brought.
func TestEachCallIsAdmittedAndSettled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{}
		g := newRig(t, l.configure)
		g.work.Route = "default"
		hint := providers.Error{Class: providers.NotFound, RetryAfter: 7 * time.Second}
		quota := providers.Quota{Requests: providers.QuotaLimit{Limit: 60, Remaining: 3}}
		hint.Quota = quota
		g.call = byModel(failing(hint), func(context.Context, providers.Request) (providers.Response, error) {
			full := answer
			full.Quota = quota
			return full, nil
		})
		settledFirst := 0
		g.finished = func(jobs.Outcome) ([]uuid.UUID, error) { settledFirst = len(l.settled); return nil, nil }
		g.take()
		if len(l.asked) != 2 || len(l.settled) != 2 || settledFirst != 2 {
			t.Fatalf("asked %+v, settled %+v, %d before the outcome; want two of each", l.asked, l.settled, settledFirst)
		}
		first, second := l.asked[0], l.asked[1]
		if first.Lane != (lane.Lane{Pool: "first", Target: "first/m1"}) || first.Call != under(g, &g.claims)[0].Call ||
			first.Input != 30 || first.Output != 50 {
			t.Errorf("asked %+v, want the claim's call in the lane of its target, with the estimate", first)
		}
		if second.Target != "second/m2" || second.Call != under(g, &g.opened)[0].ID {
			t.Errorf("asked %+v, want the further call in its own lane", second)
		}
		if s := l.settled[0]; s.Call != first.Call || s.Class != providers.NotFound || s.Hint != 7*time.Second {
			t.Errorf("settled %+v, want the failure with its hint", s)
		}
		if s := l.settled[1]; s.Call != second.Call || s.Class != "" || s.Usage != answer.Usage {
			t.Errorf("settled %+v, want the success with its usage", s)
		}
		if l.settled[0].Quota != quota || l.settled[1].Quota != quota {
			t.Errorf("settled %+v, want what the provider told of its limits", l.settled)
		}
		if want := (lesson{"second/m2", tokens.Estimate{Input: 30, Output: 50}, answer.Usage}); len(l.learned) != 1 || l.learned[0] != want {
			t.Errorf("learned %+v, want %+v, of the success alone", l.learned, want)
		}
	})
}

// TestAShortWaitIsWaitedFor: in the place the run has.
func TestAShortWaitIsWaitedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{}
		l.shutFor(2500*time.Millisecond, lane.RateLimit)
		g := newRig(t, l.configure)
		start := time.Now()
		g.take()
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if o := g.outcome(); o.Status != jobs.StatusSucceeded || !o.At.Equal(start.Add(2500*time.Millisecond)) {
			t.Errorf("outcome %+v, want the answer as soon as the lane let the call through", o)
		}
		if len(l.asked) != 2 {
			t.Errorf("asked %d times, want twice: at first, and when it was said to be worth it", len(l.asked))
		}
	})
}

// TestALongWaitIsGivenBack: no try, no call, and the time at which it is worth
// asking again; what it waits on is the lane's reason.
func TestALongWaitIsGivenBack(t *testing.T) {
	t.Parallel()
	for reason, want := range map[lane.Reason]jobs.WaitingOn{
		lane.RateLimit: jobs.WaitingOnRateLimit, lane.Breaker: jobs.WaitingOnBreaker, lane.Capacity: jobs.WaitingOnCapacity,
		lane.Paused: jobs.WaitingOnHuman, lane.Drained: jobs.WaitingOnHuman, lane.Rebuilding: jobs.WaitingOnCapacity,
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &lanes{}
				l.shutFor(time.Minute, reason)
				g := newRig(t, l.configure)
				opens := time.Now().Add(time.Minute)
				g.take()
				r := g.rescheduling()
				if r.Tries != 0 || r.WaitingOn != want || !r.RunAt.Equal(opens) || r.Call.Status != jobs.CallCancelled {
					t.Errorf("given back %+v, want it at %v, waiting on %s, for free", r, opens, want)
				}
				if len(under(g, &g.requested)) != 0 || len(l.settled) != 0 {
					t.Errorf("%d calls, settled %+v; want none", len(under(g, &g.requested)), l.settled)
				}
			})
		})
	}
}

// TestNoWaitForALaneOutlastsTheDeadline: neither for leave nor for word of it.
func TestNoWaitForALaneOutlastsTheDeadline(t *testing.T) {
	t.Parallel()
	for name, those := range map[string]func() run.Lanes{
		"leave": func() run.Lanes {
			l := &lanes{}
			l.shutFor(2500*time.Millisecond, lane.RateLimit)
			return l
		},
		"word": func() run.Lanes { return &mute{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, func(c *run.Config) { c.Lanes = those() })
				g.work.StopAt = time.Now().Add(time.Second)
				var ended time.Time
				g.rescheduled = func(jobs.Rescheduling) error { ended = time.Now(); return nil }
				g.take()
				time.Sleep(time.Minute)
				synctest.Wait()
				if r := g.rescheduling(); ended.After(g.work.StopAt) || r.Tries != 0 || len(under(g, &g.requested)) != 0 {
					t.Errorf("given back %+v at %v, want it uncalled by %v", r, ended, g.work.StopAt)
				}
			})
		})
	}
}

// mute never says whether a call may be made.
type mute struct{ lanes }

func (m *mute) Admit(ctx context.Context, _ lane.Ask) (lane.Verdict, error) {
	<-ctx.Done()
	return lane.Verdict{}, ctx.Err()
}

// TestNothingIsSentUnasked: while nobody knows whether a call may be made, none is,
// and that is said once.
func TestNothingIsSentUnasked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{admit: func(lane.Ask) (lane.Verdict, error) { return lane.Verdict{}, errors.New("Redis is away") }}
		g := newRig(t, l.configure)
		g.take()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		r := g.rescheduling()
		if len(under(g, &g.requested)) != 0 || r.Tries != 0 || !r.RunAt.After(r.Call.CreatedAt) {
			t.Errorf("%d calls, given back %+v; want none, and a later time", len(under(g, &g.requested)), r)
		}
		if errs := under(g, &g.errs); len(errs) != 1 {
			t.Errorf("reported %v, want it once", errs)
		}
	})
}

// TestAWorkerThatStopsWaitsForNoLane: what it has not sent goes back.
func TestAWorkerThatStopsWaitsForNoLane(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{}
		l.shutFor(2*time.Second, lane.RateLimit)
		g := newRig(t, l.configure)
		g.take()
		g.stop()
		<-g.done
		if r := g.rescheduling(); r.Tries != 0 || len(under(g, &g.requested)) != 0 {
			t.Errorf("given back %+v after %d calls, want it uncalled", r, len(under(g, &g.requested)))
		}
	})
}

// TestAProbeEndsBeforeAnotherMayBeMade.
func TestAProbeEndsBeforeAnotherMayBeMade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &probing{}
		g := newRig(t, func(c *run.Config) { c.Lanes = l })
		g.take()
		if total := under(g, &g.requested)[0].Timeouts.Total; total != time.Minute {
			t.Errorf("the probe may take %v, want the minute it was given", total)
		}
	})
}

// probing makes every call a probe.
type probing struct{ lanes }

func (p *probing) Admit(ctx context.Context, a lane.Ask) (lane.Verdict, error) {
	v, err := p.lanes.Admit(ctx, a)
	v.Permit.Probe, v.Permit.Within = true, time.Minute
	return v, err
}

// TestWhatIsNotSentOrBrokenOffIsNoFault of the lane's.
func TestWhatIsNotSentOrBrokenOffIsNoFault(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{}
		g := newRig(t, l.configure)
		g.call = failing(*(&providers.UnsupportedError{Pointer: "/seed", Reason: "has no counterpart"}).Refuse())
		g.take()
		g.note(func() { g.call = hang })
		g.take()
		g.runner.Stop([]uuid.UUID{g.work.Task.Execution})
		synctest.Wait()
		if len(l.settled) != 2 || !l.settled[0].Unsent || l.settled[1].Class != providers.Cancelled || l.settled[1].Unsent {
			t.Errorf("settled %+v, want one unsent and one cancelled", l.settled)
		}
	})
}

// TestPermitsAreRenewedWhileTheirCallsLast, and settled until that works.
func TestPermitsAreRenewedWhileTheirCallsLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{fails: 2}
		g := newRig(t, l.configure)
		g.call = func(context.Context, providers.Request) (providers.Response, error) {
			time.Sleep(62 * time.Second)
			return answer, nil
		}
		g.take()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if n := len(l.renewed); n != 15 || len(l.renewed[0]) != 1 || l.renewed[0][0].Call != under(g, &g.claims)[0].Call {
			t.Errorf("renewed %d times, first %+v; want each 4 s of the call", n, l.renewed)
		}
		if len(l.settled) != 1 {
			t.Errorf("settled %+v, want the call, at the third try", l.settled)
		}
	})
}
