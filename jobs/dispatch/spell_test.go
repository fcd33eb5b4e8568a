package dispatch

import (
	"fmt"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
)

// TestSpellsOfTargetsThatNobodyWantsAreForgotten: a caller may name any model of a
// provider, today one and tomorrow another.
func TestSpellsOfTargetsThatNobodyWantsAreForgotten(t *testing.T) {
	t.Parallel()
	d := &Dispatcher{spells: make(map[jobs.Target]spell)}
	d.cfg.Pace.Poll = time.Second
	now := time.Now()
	for i := range 1000 {
		model := jobs.Target{Provider: "a", Model: fmt.Sprint(i)}
		w := &window{closed: map[jobs.Target]closed{model: {reason: lane.RateLimit, until: now.Add(time.Hour)}}}
		d.noteShut(w, []jobs.Target{model}, now.Add(time.Duration(i)*time.Second))
	}
	if n := len(d.spells); n > 10 {
		t.Errorf("remembers %d targets that were shut, want those of the last polls", n)
	}
}
