package control_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// TestInvariant9AWorkerCutOffFromTheStoreHoardsNothing: it can still be handed
// tasks, and must not sit on what it cannot claim.
func TestInvariant9AWorkerCutOffFromTheStoreHoardsNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.start("healthy", 10) // half of what is released at once: the rest is the other's
		cut := f.start("cut off", 20)
		f.call = func(context.Context, *process, providers.Request) (providers.Response, error) {
			time.Sleep(time.Second)
			return whole, nil
		}
		after(2 * time.Second)
		cut.blind.Store(true)
		for range 10 { // some are taken before it notices, and some after
			f.submit(20, "acme", time.Hour)
			after(2 * time.Second)
		}
		after(30 * time.Second)
		f.allEnded(jobs.StatusSucceeded)

		cut.blind.Store(false)
		after(3 * time.Second)
		before := len(f.made())
		f.submit(100, "acme", time.Hour)
		after(20 * time.Second)
		f.allEnded(jobs.StatusSucceeded)
		for _, made := range f.made()[before:] {
			if made.by == cut {
				return
			}
		}
		t.Error("the worker took nothing once it reached the store again")
	})
}

// TestInvariant9ADispatcherCutOffFromTheQueueGivesWay: as long as it led,
// nothing that it released would run.
func TestInvariant9ADispatcherCutOffFromTheQueueGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		cut := f.start("cut off", 20)
		after(2 * time.Second) // it leads
		f.start("healthy", 20)
		after(2 * time.Second)
		cut.mute.Store(true)
		f.submit(100, "acme", time.Hour)
		after(20 * time.Second)
		f.allEnded(jobs.StatusSucceeded)
	})
}

// TestInvariant9AReconcilerCutOffFromTheQueueGivesWay: one that cannot ask the
// queue must not keep another from asking.
func TestInvariant9AReconcilerCutOffFromTheQueueGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		cut := f.start("cut off", 20)
		f.start("healthy", 20)
		after(2 * time.Second)
		f.call = func(context.Context, *process, providers.Request) (providers.Response, error) {
			time.Sleep(3 * time.Second)
			return whole, nil
		}
		for range 5 { // whoever leads, whoever asks: tasks are lost again and again
			cut.mute.Store(true)
			f.submit(20, "acme", time.Hour)
			f.queue.Lose()
			after(20 * time.Second)
			f.allEnded(jobs.StatusSucceeded)
			cut.mute.Store(false)
			after(5 * time.Second)
		}
	})
}
