package run_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
)

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
