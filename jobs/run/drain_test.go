package run_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
)

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
