package e2e

import (
	"testing"
	"time"

	"github.com/penstock-dev/penstock/e2e/history"
)

// Invariant 2: a worker that was stopped, declared dead, and comes back with
// answers while others run the same changes no status and no result. What it
// spent is recorded.
func TestInvariant2StaleWorkerChangesNothing(t *testing.T) {
	t.Parallel()
	f := startFleet(t, setup{apis: 1, workers: 1, concurrency: 10, faults: `{"latency": "2s", "sigma": 0}`})
	ids := f.submitAll(10)
	eventually(t, 20*time.Second, "calls under way", func() bool { return len(f.calls()) == len(ids) })
	f.workers[0].stop()
	f.behave(`{"latency": "4s", "sigma": 0}`)
	f.startWorker()
	eventually(t, 20*time.Second, "the same calls elsewhere", func() bool { return len(f.calls()) == 2*len(ids) })
	f.workers[0].resume() // its answers have been waiting for it
	f.allSucceeded(ids)

	var h history.History
	l := ledger{f.database}
	eventually(t, 20*time.Second, "all calls recorded", func() bool {
		l.read(t, &h)
		recorded := 0
		for _, c := range h.Calls {
			if c.Status != "" {
				recorded++
			}
		}
		return recorded == 2*len(ids)
	})
	late := 0
	for _, c := range h.Calls {
		if c.Fence == 1 && c.Status == "success" {
			late++
		}
	}
	if late == 0 {
		t.Error("the stopped worker brought no answer, so that nothing is proved")
	}
	for _, e := range h.Executions {
		if e.Fence != 2 || e.Tries != 0 {
			t.Errorf("execution %s ended under fence %d with %d tries, want 2 and none", e.ID, e.Fence, e.Tries)
		}
	}
}
