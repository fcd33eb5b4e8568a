package jobs_test

import (
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func TestPaceDefaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ given, want jobs.Pace }{
		{jobs.Pace{}, jobs.Pace{Beat: time.Second, Stale: 4 * time.Second, Dead: 6 * time.Second, Lease: 4 * time.Second, Poll: time.Second}},
		{
			jobs.Pace{Beat: 10 * time.Second, Poll: 5 * time.Second},
			jobs.Pace{Beat: 10 * time.Second, Stale: 40 * time.Second, Dead: time.Minute, Lease: 40 * time.Second, Poll: 5 * time.Second},
		},
		{
			jobs.Pace{Stale: 2 * time.Second},
			jobs.Pace{Beat: time.Second, Stale: 2 * time.Second, Dead: 4 * time.Second, Lease: 4 * time.Second, Poll: time.Second},
		},
	} {
		if got, err := c.given.Filled(); err != nil || got != c.want {
			t.Errorf("%+v: got %+v (%v), want %+v", c.given, got, err, c.want)
		}
	}
}

// Invariants 2 and 3 hold at any pace, but calls would be made twice for no
// reason if a worker that is well, or only slow, could be taken for dead.
func TestPaceRefusesWhatWouldDeclareTheLivingDead(t *testing.T) {
	t.Parallel()
	for field, p := range map[string]jobs.Pace{
		"Beat":  {Beat: -1},
		"Stale": {Stale: 1999 * time.Millisecond},
		"Dead":  {Dead: 5999 * time.Millisecond},
		"Lease": {Lease: 2999 * time.Millisecond},
		"Poll":  {Poll: -1},
	} {
		if _, err := p.Filled(); err == nil || !strings.HasPrefix(err.Error(), "field "+field+" is ") {
			t.Errorf("%+v: got %v, want an error that names %s", p, err, field)
		}
	}
	if _, err := (jobs.Pace{Beat: 2 * time.Second, Dead: 6 * time.Second}).Filled(); err == nil {
		t.Error("a slower beat with the same Dead is allowed")
	}
}
