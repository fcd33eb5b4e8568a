package run_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
)

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
