package app

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers/lane"
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

// A call that opens its target's breaker is told of in the log, as a warning, and in
// the metrics.
func TestABreakerThatOpensIsToldOf(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	o := newObserved(zerolog.New(&log))
	told := o.run()
	told.Ended(run.Attempt{Result: run.Rescheduled, Lane: lane.Settled{Opened: lane.Opening{Number: 2, For: 40 * time.Second}}})
	told.Ended(run.Attempt{Result: run.Succeeded, Lane: lane.Settled{Closed: true}})
	if got := sumOf(t, o, "penstock_breaker_openings_total"); got != 1 {
		t.Errorf("openings: got %v, want 1", got)
	}
	opened, closed, _ := strings.Cut(log.String(), "\n")
	for _, want := range []string{`"level":"warn"`, `"breaker_opening":2`, `"breaker_open_for":40000`} {
		if !strings.Contains(opened, want) {
			t.Errorf("got %s, want %s in it", opened, want)
		}
	}
	if !strings.Contains(closed, `"breaker_closed":true`) || strings.Contains(closed, "warn") {
		t.Errorf("got %s, want it to say that the breaker is closed", closed)
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
