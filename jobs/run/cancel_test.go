package run_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

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
