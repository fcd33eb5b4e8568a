//go:build !race

package dispatch_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/dispatch"
	"github.com/penstock-dev/penstock/providers/lane"
)

// TestSimInvariant3EachOfThoseThatShareAnExecutionGetsWhatItWants, in an outage: who
// would fail fails at once, who would degrade alone is answered by a lesser target,
// and who waits is answered when it is over.
func TestSimInvariant3EachOfThoseThatShareAnExecutionGetsWhatItWants(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &lanes{rooms: map[string]lane.Room{"sim/m": shut(lane.Breaker, time.Hour)}}
		s := newStage(t, 4, func(c *dispatch.Config) { c.Lanes = l })
		submit := func(question string, want jobs.OnUnavailable) jobs.Job {
			t.Helper()
			done, err := s.service.Submit(t.Context(), jobs.NewJob{
				Tenant: "t", OnUnavailable: &want,
				Request: []byte(`{"model":"default","messages":[{"role":"user","content":"` + question + `"}]}`),
			})
			s.must(err)
			return done.Job
		}
		fails, waits := submit("shared", jobs.OnUnavailableFail), submit("shared", jobs.OnUnavailableWait)
		shares, degrades := submit("shared", jobs.OnUnavailableDegrade), submit("alone", jobs.OnUnavailableDegrade)
		time.Sleep(30 * time.Second)
		if j := s.look(fails); j.Status != jobs.StatusFailed || j.Error.Code != jobs.CodeUnavailable || j.Tries != 0 ||
			j.FinishedAt.Sub(j.CreatedAt) > time.Second {
			t.Errorf("who would fail: %+v, want it failed at once, without a try", j)
		}
		if j := s.look(degrades); j.Status != jobs.StatusSucceeded || !j.Degraded || j.Provider != "lesser" {
			t.Errorf("who would degrade: %+v, want it answered by the lesser target", j)
		}
		for _, j := range []jobs.Job{s.look(waits), s.look(shares)} {
			if j.Status != jobs.StatusQueued || j.WaitingOn != jobs.WaitingOnBreaker {
				t.Errorf("who waits, or shares with who does: %+v, want it queued for the breaker", j)
			}
		}
		l.set("sim/m", open())
		time.Sleep(10 * time.Second)
		for _, j := range []jobs.Job{s.look(waits), s.look(shares)} {
			if j.Status != jobs.StatusSucceeded || j.Degraded || j.Provider != "sim" {
				t.Errorf("when it is over: %+v, want it answered as usual", j)
			}
		}
		l.set("sim/m", shut(lane.Breaker, time.Hour))
		again, other := submit("shared", jobs.OnUnavailableDegrade), submit("alone", jobs.OnUnavailableWait)
		time.Sleep(5 * time.Second)
		if j := s.look(again); !j.Degraded || !j.Cached || j.Age < 5*time.Second || string(j.Result) != `{"ok":true}` {
			t.Errorf("who would degrade: %+v, want the stored answer", j)
		}
		if j := s.look(other); j.Status != jobs.StatusQueued {
			t.Errorf("who waits for what a lesser target has answered: %+v, want it queued", j)
		}
	})
}
