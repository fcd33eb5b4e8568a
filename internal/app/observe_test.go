package app

import (
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
)

// A run that was cut off before its call was made is no call: it had not been
// counted as running.
func TestCallsThatWereNotMadeAreNotCounted(t *testing.T) {
	t.Parallel()
	o := newObserved(zerolog.Nop())
	told := o.run()
	told.Started(jobs.Work{Provider: "sim"})
	told.Ended(run.Attempt{Call: jobs.Call{Provider: "sim", Status: jobs.CallSuccess, Latency: time.Second}})
	told.Ended(run.Attempt{Call: jobs.Call{Provider: "sim", Status: jobs.CallCancelled}})
	for name, want := range map[string]float64{
		"penstock_calls_running": 0, "penstock_calls_total": 1, "penstock_runs_total": 2,
	} {
		if got := sumOf(t, o, name); got != want {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
}

// sumOf adds up a metric over its labels.
func sumOf(t *testing.T, o *observed, name string) (sum float64) {
	t.Helper()
	families, err := o.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return sum
}
