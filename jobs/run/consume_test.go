package run_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
)

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
