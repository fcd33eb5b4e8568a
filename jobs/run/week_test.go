//go:build !race

package run_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

// TestARequestThatBringsItsProviderDownEnds: alone in its lane it is forgiven for
// long, but not for ever.
func TestARequestThatBringsItsProviderDownEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{caused: lane.Settled{Down: true}}
		g := newRig(t, l.configure)
		g.work.Task.Fence, g.work.StopAt = 1, time.Now().Add(7*24*time.Hour)
		g.call = failing(providers.Error{Class: providers.ServerError})
		g.rescheduled = func(r jobs.Rescheduling) error {
			g.note(func() { g.work.Tries += r.Tries })
			next := r.Task
			next.Fence++
			time.AfterFunc(time.Until(r.RunAt), func() { _ = g.queue.Enqueue(context.Background(), []jobs.Task{next}) })
			return nil
		}
		g.take()
		time.Sleep(7 * 24 * time.Hour)
		synctest.Wait()
		if calls, ended := len(under(g, &g.requested)), under(g, &g.outcomes); calls != 205 || len(ended) != 1 || ended[0].Status != jobs.StatusFailed {
			t.Errorf("%d calls, then %+v; want a failure after 200 that were forgiven and 5 that were not", calls, ended)
		}
	})
}
