package app

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/latency"
)

func newLatencies() *latencies { return &latencies{fleet: latency.NewFleet(latency.Config{})} }

// call is a run's first call, made two seconds after the execution was.
func call(t *testing.T, status jobs.CallStatus) run.Attempt {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return run.Attempt{
		Task: jobs.Task{Execution: id, Fence: 1},
		Call: jobs.Call{
			Provider: "sim", Model: "sim-1", Status: status, Latency: 10 * time.Second, TimeToFirstToken: time.Second,
			Usage:     providers.Usage{Known: true, InputTokens: 8, OutputTokens: 900},
			CreatedAt: uuidTime(id).Add(2 * time.Second),
		},
	}
}

func TestCallsAreTakenIn(t *testing.T) {
	t.Parallel()
	l := newLatencies()
	for range 60 {
		l.ended(call(t, jobs.CallSuccess))
	}
	l.ended(call(t, jobs.CallTimeout))
	l.ended(call(t, jobs.CallCancelled))
	l.ended(call(t, jobs.CallFailure))
	l.ended(run.Attempt{Call: jobs.Call{Provider: "sim", Model: "sim-1", Status: jobs.CallCancelled}})
	again := call(t, jobs.CallSuccess)
	again.Task.Fence = 2
	l.ended(again)
	got := l.fleet.Summary(latency.Target{Pool: "sim", Name: "sim/sim-1"})
	if got.Total.Count != 63 || got.Total.Cut != 2 || got.Queue.Count != 62 || got.FirstToken.Count != 63 {
		t.Errorf("got %+v, want 61 that ended, two that were cut, and no queue time of a second run", got)
	}
	if q := got.Queue.P95.Value; q < 1900*time.Millisecond || q > 2100*time.Millisecond {
		t.Errorf("queue time %s, want 2s", q)
	}
	if late, ok := l.hedgeAfter(jobs.Target{Provider: "sim", Model: "sim-1"}, .05); !ok || late < 900*time.Millisecond || late > 1100*time.Millisecond {
		t.Errorf("hedge after %s (%t), want 1s", late, ok)
	}
}

// Metrics tell of targets that the file names, whatever else was called.
func TestPercentilesAreOfTheFilesTargets(t *testing.T) {
	t.Parallel()
	file := File{
		Providers: map[string]ProviderConfig{"sim": {Models: []string{"sim-1"}}, "far": {}},
		Routes:    map[string]RouteConfig{"r": {Targets: []string{"far/big", "sim/sim-1"}}},
	}
	l, registry := newLatencies(), prometheus.NewRegistry()
	registry.MustRegister(newPercentiles(l.fleet, file.targets()))
	for _, model := range []string{"sim-1", "made-up"} {
		a := call(t, jobs.CallSuccess)
		a.Call.Model = model
		l.ended(a)
	}
	cut := call(t, jobs.CallTimeout)
	cut.Call.Provider, cut.Call.Model = "far", "big"
	l.ended(cut)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, label := range m.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			values[family.GetName()+" "+strings.Join(labels, " ")] = m.GetGauge().GetValue()
		}
	}
	// Two targets, three times, three quantiles, two metrics.
	if len(values) != 2*3*3*2 {
		t.Errorf("got %d series: %v", len(values), values)
	}
	for series, want := range map[string]float64{
		"penstock_latency_seconds sim-1 sim 0.95 total": 10, "penstock_latency_seconds sim-1 sim 0.5 first_token": 1,
		"penstock_latency_is_lower_bound big far 0.99 total": 1, "penstock_latency_is_lower_bound sim-1 sim 0.99 total": 0,
		"penstock_latency_seconds big far 0.99 total": 10,
	} {
		if got, ok := values[series]; !ok || got < want*.98 || got > want*1.02 {
			t.Errorf("%s: got %v (%t), want %v", series, got, ok, want)
		}
	}
}
