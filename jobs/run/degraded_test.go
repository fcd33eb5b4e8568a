package run_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

// newDegraded returns a rig whose work was released to the first of two lesser
// targets, for want of the one that its route has.
func newDegraded(t *testing.T) *rig {
	t.Helper()
	g := newRig(t, func(c *run.Config) {
		c.Catalog = jobs.NewCatalog([]jobs.Route{{
			Name: "lesser", MaxAttempts: 5, Targets: []jobs.Target{{Provider: "gone", Model: "m0"}},
			Degraded: []jobs.Target{{Provider: "first", Model: "m1"}, {Provider: "second", Model: "m2"}},
		}}, nil, jobs.Route{})
	})
	g.work.Route, g.work.Degraded, g.work.Target = "lesser", true, 1
	return g
}

// TestADegradedRunStaysWithLesserTargets: one after the other, and says so.
func TestADegradedRunStaysWithLesserTargets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newDegraded(t)
		g.call = byModel(failing(providers.Error{Class: providers.ServerError, Message: "it broke"}), succeeding)
		g.take()
		if o := g.outcome(); !o.Degraded || o.Status != jobs.StatusSucceeded || o.Call.Model != "m2" {
			t.Errorf("outcome %+v, want the second lesser target's answer, degraded", o)
		}
	})
}

// TestAnOutcomeThatIsNotForAllIsGivenBack: at once, to the first target, and what was
// spent is recorded.
func TestAnOutcomeThatIsNotForAllIsGivenBack(t *testing.T) {
	t.Parallel()
	for name, call := range map[string]func(*rig){
		"an answer": func(*rig) {},
		"a failure": func(g *rig) { g.call = failing(providers.Error{Class: providers.BadRequest, Message: "no"}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newDegraded(t)
				call(g)
				g.finished = func(jobs.Outcome) ([]uuid.UUID, error) { return nil, jobs.ErrProlonged }
				g.take()
				given := under(g, &g.given)
				if len(given) != 1 {
					t.Fatalf("given back %d times, want once", len(given))
				}
				r := given[0]
				if r.Target != 0 || !r.RunAt.Equal(under(g, &g.outcomes)[0].At) || r.Call.Status == "" {
					t.Errorf("given back %+v, want at once, to the first target, with the call", r)
				}
			})
		})
	}
}

// TestWhatWaitsForItsLaneIsBackForALesserTarget: the call that finds an outage out is
// given to a lesser target as soon as others are, though its lane opens later or after
// its deadline.
func TestWhatWaitsForItsLaneIsBackForALesserTarget(t *testing.T) {
	t.Parallel()
	opens := func(l *lanes) {
		l.caused = lane.Settled{Down: true, Opened: lane.Opening{Number: 2, For: time.Minute}}
	}
	isShut := func(l *lanes) { l.shutFor(time.Minute, lane.Breaker) }
	lesser := []jobs.Target{{Provider: "second", Model: "m2"}}
	for name, c := range map[string]struct {
		lane   func(*lanes)
		lesser []jobs.Target
		want   time.Duration
	}{
		"it opens the breaker":   {opens, lesser, 3 * time.Second},
		"it is not let through":  {isShut, lesser, 3 * time.Second},
		"without lesser targets": {opens, nil, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &lanes{}
				c.lane(l)
				g := newRig(t, l.configure, func(cfg *run.Config) {
					cfg.Catalog = jobs.NewCatalog([]jobs.Route{{
						Name: "r", MaxAttempts: 5, Patience: 3 * time.Second,
						Targets: []jobs.Target{{Provider: "first", Model: "m1"}}, Degraded: c.lesser,
					}}, nil, jobs.Route{})
				})
				begun := time.Now()
				g.work.Route, g.work.StopAt = "r", begun.Add(time.Hour)
				if c.lesser != nil {
					g.work.StopAt = begun.Add(30 * time.Second)
				}
				g.call = failing(providers.Error{Class: providers.ServerError})
				g.take()
				r := g.rescheduling()
				if wait := r.RunAt.Sub(begun); r.Tries != 0 || wait < c.want || c.lesser != nil && wait > c.want {
					t.Errorf("given back %+v, want it for free, and after %v", r, c.want)
				}
			})
		})
	}
}
