package run_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

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
