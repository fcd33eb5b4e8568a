package run_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
)

var away = jobs.Unavailable(errors.New("connection refused"))

func TestStaleClaimDoesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.claimed = func(jobs.Claim) error { return jobs.ErrStale }
		g.take()
		if len(under(g, &g.claims)) != 1 || len(under(g, &g.requested))+len(under(g, &g.outcomes))+len(under(g, &g.given))+len(under(g, &g.attempts))+len(under(g, &g.errs)) != 0 {
			t.Errorf("after a stale claim: %+v", g)
		}
	})
}

// TestClaimIsTriedUntilItsFateIsKnown: a claim that the store kept although its
// answer was lost must not be forgotten, or it would run nowhere. Meanwhile the
// task is let go and no other is taken, so that others may run them.
func TestClaimIsTriedUntilItsFateIsKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		back := time.Now().Add(10 * time.Minute)
		g.claimed = func(jobs.Claim) error {
			if time.Now().Before(back) {
				return away
			}
			return nil
		}
		g.disclaimed = g.claimed
		first := g.work.Task
		g.take()
		time.Sleep(12 * time.Second)
		if n := g.queue.Len(); n != 0 {
			t.Errorf("%d tasks are held after 12 s, want none", n)
		}
		g.note(func() { g.work.Task = jobs.Task{Execution: uuid.Must(uuid.NewV7()), Fence: 1, Provider: "first"} })
		g.take()
		time.Sleep(9 * time.Minute)
		if n := len(under(g, &g.claims)) + len(under(g, &g.disclaims)); n > 2000 || len(under(g, &g.errs)) != 1 {
			t.Errorf("%d claims and %d reports in 10 min, want at most 2000 and 1", n, len(under(g, &g.errs)))
		}
		for _, c := range append(under(g, &g.claims), under(g, &g.disclaims)...) {
			if c.Call != under(g, &g.claims)[0].Call || c.Task != first {
				t.Fatal("a repeated claim is of another task, or has another call's id")
			}
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if r, n := under(g, &g.given), len(under(g, &g.disclaims)); len(r) != 0 || n < 2 {
			t.Errorf("given back %+v after %d tries to undo the claim, want nothing after several", r, n)
		}
		if o := under(g, &g.outcomes); len(o) != 1 || o[0].Status != jobs.StatusSucceeded || o[0].Task == first {
			t.Errorf("outcomes %+v, want that of the task that waited", o)
		}
	})
}

// TestDoubtIsUndoneThoughStale: the claim may have been kept before its execution
// ended or was released again. A claim that is stale at once was not.
func TestDoubtIsUndoneThoughStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.claimed = func(jobs.Claim) error { return jobs.ErrStale }
		g.take()
		if d := under(g, &g.disclaims); len(d) != 0 {
			t.Errorf("undone: %+v, want nothing: the claim was never in doubt", d)
		}
		back := time.Now().Add(5 * time.Second)
		g.note(func() {
			g.claimed = func(jobs.Claim) error {
				if time.Now().Before(back) {
					return away
				}
				return jobs.ErrStale
			}
		})
		g.take()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if d, c := under(g, &g.disclaims), under(g, &g.claims); len(d) != 1 || d[0].Call != c[len(c)-1].Call {
			t.Errorf("undone: %+v, want the claim that was in doubt", d)
		}
		g.note(func() { g.claimed = nil })
		g.take()
		if len(under(g, &g.given)) != 0 || g.outcome().Status != jobs.StatusSucceeded {
			t.Errorf("given back %+v, outcomes %+v; want the next task's outcome alone", g.given, g.outcomes)
		}
	})
}

// TestRetiringUndoesDoubts: a claim that is in doubt when the worker stops is undone
// before the worker is forgotten.
func TestRetiringUndoesDoubts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		back := time.Now().Add(2 * time.Second)
		g.claimed = func(jobs.Claim) error { return away }
		g.disclaimed = func(jobs.Claim) error {
			if time.Now().Before(back) {
				return away
			}
			if n := len(under(g, &g.retired)); n != 0 {
				t.Errorf("retired before the claim was undone")
			}
			return nil
		}
		g.take()
		g.stop()
		<-g.done
		if d, r := under(g, &g.disclaims), under(g, &g.retired); time.Now().Before(back) || len(d) == 0 || len(r) != 1 {
			t.Errorf("%d tries to undo the claim, retired %v; want both done", len(d), r)
		}
	})
}

// TestCallsStayBoundedWhenTheStoreComesBack: calls that outlast an outage keep
// their places.
func TestCallsStayBoundedWhenTheStoreComesBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		release := make(chan struct{})
		var now, most atomic.Int64
		g.call = func(context.Context, providers.Request) (providers.Response, error) {
			most.Store(max(most.Load(), now.Add(1)))
			<-release
			now.Add(-1)
			return answer, nil
		}
		for range 3 {
			for range 2 {
				g.note(func() { g.work.Task.Execution = uuid.Must(uuid.NewV7()) })
				g.take()
			}
			g.note(func() { g.beaten = func([]jobs.Task) ([]jobs.Task, error) { return nil, away } })
			time.Sleep(10 * time.Second)
			g.note(func() { g.beaten = nil })
			time.Sleep(10 * time.Second)
		}
		if most.Load() != 2 {
			t.Errorf("%d calls at once, want the 2 that are allowed", most.Load())
		}
		close(release)
		synctest.Wait()
		if n := len(under(g, &g.outcomes)); n != 6 {
			t.Errorf("%d outcomes, want all 6", n)
		}
	})
}

func TestRefusedClaimIsLetGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.claimed = func(jobs.Claim) error { return errors.New("no such column") }
		g.take()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(under(g, &g.claims)) > 10 || g.queue.Len() != 0 {
			t.Errorf("%d claims and %d tasks held, want few and none", len(under(g, &g.claims)), g.queue.Len())
		}
	})
}

// TestInvariant2AnswerOutlivesTheStore: an answer in hand is kept until the
// store is back.
func TestInvariant2AnswerOutlivesTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		back := time.Now().Add(20 * time.Minute)
		down := func() error {
			if time.Now().Before(back) {
				return away
			}
			return nil
		}
		g.finished = func(o jobs.Outcome) ([]uuid.UUID, error) { return []uuid.UUID{o.Task.Execution}, down() }
		g.take()
		g.note(func() { g.beaten = func([]jobs.Task) ([]jobs.Task, error) { return nil, down() } })
		time.Sleep(20*time.Minute + time.Second)
		synctest.Wait()
		a := g.attempt()
		if a.Result != run.Succeeded || len(under(g, &g.requested)) != 1 || len(under(g, &g.attempts)) != 1 {
			t.Errorf("attempts %+v after %d calls, want one that succeeded", under(g, &g.attempts), len(under(g, &g.requested)))
		}
		if len(under(g, &g.outcomes)) > 3000 || len(under(g, &g.errs)) > 2 {
			t.Errorf("%d tries to finish and %d reports, want no spin and no flood", len(under(g, &g.outcomes)), len(under(g, &g.errs)))
		}
	})
}

func TestWorkerThatCannotRenewStartsNoCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		release := make(chan struct{})
		g.call = func(context.Context, providers.Request) (providers.Response, error) {
			<-release
			return answer, nil
		}
		g.take()
		g.note(func() { g.beaten = func([]jobs.Task) ([]jobs.Task, error) { return nil, away } })
		time.Sleep(5 * time.Second)
		first := g.work.Task
		g.work.Task = jobs.Task{Execution: uuid.Must(uuid.NewV7()), Fence: 1, Provider: "first"}
		g.take()
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(under(g, &g.requested)) != 1 || len(under(g, &g.claims)) != 1 {
			t.Errorf("%d calls and %d claims, want only those from before", len(under(g, &g.requested)), len(under(g, &g.claims)))
		}
		close(release)
		synctest.Wait()
		if o := g.outcome(); o.Task != first || o.Status != jobs.StatusSucceeded {
			t.Errorf("outcome %+v, want the answer of the call that was running", o)
		}
		g.note(func() { g.beaten = nil })
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if len(under(g, &g.outcomes)) != 2 {
			t.Errorf("%d outcomes once it can beat again, want 2", len(under(g, &g.outcomes)))
		}
	})
}

func TestInvariant2StaleAnswerChangesNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.finished = func(jobs.Outcome) ([]uuid.UUID, error) { return nil, jobs.ErrStale }
		g.take()
		if len(under(g, &g.outcomes)) != 1 || len(under(g, &g.given)) != 0 || len(under(g, &g.signals)) != 0 || g.attempt().Result != run.Stale {
			t.Errorf("outcomes %d, reschedulings %d, signals %v, attempt %+v", len(under(g, &g.outcomes)), len(under(g, &g.given)), under(g, &g.signals), g.attempt())
		}
	})
}

func TestAnswerThatTheStoreRefusesEndsTheJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.finished = func(o jobs.Outcome) ([]uuid.UUID, error) {
			if o.Result != nil {
				return nil, errors.New("unsupported Unicode escape sequence")
			}
			return []uuid.UUID{o.Task.Execution}, nil
		}
		g.take()
		time.Sleep(time.Minute)
		synctest.Wait()
		last := under(g, &g.outcomes)[len(under(g, &g.outcomes))-1]
		if last.Status != jobs.StatusFailed || last.Error.Code != "malformed" || len(under(g, &g.outcomes)) > 10 {
			t.Errorf("last of %d outcomes %+v, want failed as malformed", len(under(g, &g.outcomes)), last)
		}
	})
}

func TestCancelledCallIsRecorded(t *testing.T) {
	t.Parallel()
	ways := map[string]func(g *rig){
		"by a signal": func(g *rig) { g.runner.Stop([]uuid.UUID{uuid.New(), g.work.Task.Execution}) },
		"by a heartbeat": func(g *rig) {
			g.note(func() { g.beaten = func(running []jobs.Task) ([]jobs.Task, error) { return running, nil } })
			time.Sleep(time.Second)
		},
	}
	for name, stop := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t)
				g.call = hang
				g.rescheduled = func(jobs.Rescheduling) error { return jobs.ErrStale }
				g.take()
				time.Sleep(10 * time.Second)
				stop(g)
				synctest.Wait()
				r := g.rescheduling()
				if r.Call.Status != jobs.CallCancelled || r.Call.ErrorClass != providers.Cancelled || r.Tries != 0 ||
					r.Call.Partial != "half an ans" || r.Call.Latency < 10*time.Second {
					t.Errorf("rescheduling %+v, want a cancelled call and no try", r)
				}
				if g.queue.Len() != 0 {
					t.Error("the task is still held")
				}
			})
		})
	}
}

func TestCancelDoesNotTouchOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.call = hang
		g.take()
		g.runner.Stop(nil)
		g.runner.Stop([]uuid.UUID{uuid.New()})
		other := g.work.Task
		other.Fence++
		g.note(func() { g.beaten = func([]jobs.Task) ([]jobs.Task, error) { return []jobs.Task{other}, nil } })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(under(g, &g.given))+len(under(g, &g.outcomes)) != 0 {
			t.Errorf("a call was ended by another's cancel: %+v %+v", under(g, &g.given), under(g, &g.outcomes))
		}
	})
}

func TestCancelBetweenRegisteringAndTheCallIsNotLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.claimed = func(jobs.Claim) error {
			g.runner.Stop([]uuid.UUID{g.work.Task.Execution})
			return nil
		}
		g.take()
		if r := g.rescheduling(); len(under(g, &g.requested)) != 0 || r.Call.Status != jobs.CallCancelled {
			t.Errorf("%d calls, rescheduling %+v; want none", len(under(g, &g.requested)), r)
		}
	})
}

func TestConnectionLostWithoutCancelIsRetried(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.call = failing(providers.Error{Class: providers.Cancelled})
		g.take()
		if r := g.rescheduling(); r.Tries != 1 || r.Call.ErrorClass != providers.Connection {
			t.Errorf("rescheduling %+v, want a lost connection", r)
		}
	})
}

func TestDrainLetsRunningCallsFinish(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.call = func(context.Context, providers.Request) (providers.Response, error) {
			time.Sleep(5 * time.Minute)
			return answer, nil
		}
		g.take()
		start, beats := time.Now(), len(under(g, &g.beats))
		g.stop()
		<-g.done
		if took := time.Since(start); took != 5*time.Minute || g.outcome().Status != jobs.StatusSucceeded {
			t.Errorf("drained in %v, want the 5 min of the call", took)
		}
		if len(under(g, &g.retired)) != 1 || under(g, &g.retired)[0] != g.worker.ID || len(under(g, &g.beats))-beats < 299 {
			t.Errorf("retired %v after %d beats, want itself, having lived on", under(g, &g.retired), len(under(g, &g.beats))-beats)
		}
	})
}

func TestInvariant5DrainGivesBackWhatTakesTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(c *run.Config) { c.DrainTimeout = time.Minute })
		g.call = hang
		g.take()
		start := time.Now()
		g.stop()
		<-g.done
		r := g.rescheduling()
		if r.Tries != 0 || r.RunAt.After(time.Now()) || r.Call.Status != jobs.CallCancelled || time.Since(start) != time.Minute {
			t.Errorf("after %v %+v, want it given back after 1 min, ready, without a try", time.Since(start), r)
		}
	})
}

func TestDrainStartsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t)
		g.claimed = func(jobs.Claim) error {
			g.stop()
			synctest.Wait()
			return nil
		}
		if err := g.queue.Enqueue(t.Context(), []jobs.Task{g.work.Task}); err != nil {
			t.Fatal(err)
		}
		<-g.done
		if len(under(g, &g.requested)) != 0 || len(under(g, &g.retired)) != 1 {
			t.Errorf("%d calls after the stop, retired %v", len(under(g, &g.requested)), under(g, &g.retired))
		}
	})
}

func TestDrainEndsAlthoughTheStoreIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newRig(t, func(c *run.Config) { c.DrainTimeout = time.Minute })
		g.finished = func(jobs.Outcome) ([]uuid.UUID, error) { return nil, away }
		g.take()
		start := time.Now()
		g.stop()
		<-g.done
		if took := time.Since(start); took > 90*time.Second {
			t.Errorf("drain took %v, want at most 90s", took)
		}
		if a := g.attempt(); a.Result != run.Unrecorded || !errors.Is(a.Err, away) {
			t.Errorf("attempt %+v, want unrecorded with the cause", a)
		}
	})
}

func TestBeatsUntilItIsHeard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		g := newRig(t, func(c *run.Config) { c.Store = deafStore{c.Store, &tries} })
		g.take()
		if len(under(g, &g.claims)) != 0 {
			t.Fatal("claimed before the first beat succeeded")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if g.outcome().Status != jobs.StatusSucceeded || len(under(g, &g.errs)) != 1 {
			t.Errorf("outcomes %+v, reports %v", under(g, &g.outcomes), under(g, &g.errs))
		}
		for i, w := range under(g, &g.beats) {
			if w.ID != g.worker.ID || w.Name != "w" || (i > 0 && w.Beat <= under(g, &g.beats)[i-1].Beat) {
				t.Fatalf("beat %d: %+v, want a number that moves on", i, w)
			}
		}
		if n := len(under(g, &g.beats)); n < 45 || n > 61 {
			t.Errorf("%d beats in a minute, want about one a second", n)
		}
	})
}

// deafStore does not hear the first ten beats.
type deafStore struct {
	jobs.RunStore
	tries *atomic.Int64
}

func (s deafStore) Beat(ctx context.Context, w jobs.Worker, running []jobs.Task) ([]jobs.Task, error) {
	if s.tries.Add(1) <= 10 {
		return nil, away
	}
	return s.RunStore.Beat(ctx, w, running)
}

func TestQueueThatFailsIsConsumedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var tries atomic.Int64
		g := newRig(t, func(c *run.Config) { c.Queue = brokenQueue{c.Queue, &tries} })
		time.Sleep(time.Minute)
		g.take()
		if g.outcome().Status != jobs.StatusSucceeded || len(under(g, &g.errs)) > 2 {
			t.Errorf("outcomes %+v, reports %v", under(g, &g.outcomes), under(g, &g.errs))
		}
	})
}

// brokenQueue fails its first consumers.
type brokenQueue struct {
	jobs.Queue
	tries *atomic.Int64
}

func (q brokenQueue) Consume(
	ctx context.Context, provider string, concurrency int, handle func(context.Context, jobs.Task),
) error {
	if q.tries.Add(1) <= 10 {
		return errors.New("connection refused")
	}
	return q.Queue.Consume(ctx, provider, concurrency, handle)
}

func TestNewNamesTheFieldAtFault(t *testing.T) {
	t.Parallel()
	good := func() run.Config {
		g := &rig{}
		return run.Config{
			Store: g, Queue: brokenQueue{}, Signals: silent{}, Catalog: jobs.NewCatalog(nil, nil, jobs.Route{}),
			Worker:    jobs.Worker{ID: uuid.New()},
			Providers: map[string]providers.Provider{"first": provider{g}}, Concurrency: map[string]int{"first": 1},
		}
	}
	for field, breakIt := range map[string]func(*run.Config){
		"Store":                 func(c *run.Config) { c.Store = nil },
		"Queue":                 func(c *run.Config) { c.Queue = nil },
		"Signals":               func(c *run.Config) { c.Signals = nil },
		"Catalog":               func(c *run.Config) { c.Catalog = nil },
		"Worker.ID":             func(c *run.Config) { c.Worker.ID = uuid.Nil },
		"Retry":                 func(c *run.Config) { c.Retry.Base = time.Second },
		"DrainTimeout":          func(c *run.Config) { c.DrainTimeout = -1 },
		`Concurrency["first"]`:  func(c *run.Config) { c.Concurrency = map[string]int{"first": 0} },
		`Concurrency["second"]`: func(c *run.Config) { c.Concurrency = map[string]int{"second": 1} },
	} {
		c := good()
		breakIt(&c)
		if _, err := run.New(c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("New with a bad %s = %v, want an error that names it", field, err)
		}
	}
	if _, err := run.New(good()); err != nil {
		t.Errorf("New = %v, want nil", err)
	}
}

type silent struct{}

func (silent) Send(context.Context, jobs.Signal) error { return nil }

func (silent) Listen(context.Context, func(jobs.Signal), ...jobs.SignalKind) error { return nil }
