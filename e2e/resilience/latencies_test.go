package resilience

import (
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers/latency"
)

// latencies are how long calls take, and what follows from it, as in
// internal/app.
type latencies struct{ fleet *latency.Fleet }

func latencyTarget(t jobs.Target) latency.Target {
	return latency.Target{Pool: t.Provider, Name: t.String()}
}

// hedgeAfter implements [run.Config] HedgeAfter.
func (l latencies) hedgeAfter(t jobs.Target, budget float64) (time.Duration, bool) {
	return latency.HedgeDelay(l.fleet.Summary(latencyTarget(t)), budget)
}

// weight implements [dispatch.Config] Weight.
func (l latencies) weight(t jobs.Target) float64 {
	typical := l.fleet.Summary(latencyTarget(t)).Total.P50.Value
	if typical <= 0 {
		typical = time.Second
	}
	return 1 / typical.Seconds()
}

// ended takes in a call. One that failed by itself says nothing about how long an
// answer takes.
func (l latencies) ended(a run.Attempt) {
	c := a.Call
	if c.Latency == 0 || c.Status == jobs.CallFailure {
		return
	}
	l.fleet.Record(latencyTarget(jobs.Target{Provider: c.Provider, Model: c.Model}), latency.Sample{
		Total: c.Latency, FirstToken: c.TimeToFirstToken, Gap: a.Gap, Cut: c.Status != jobs.CallSuccess,
		InputTokens: c.Usage.InputTokens, OutputTokens: c.Usage.OutputTokens,
	})
}
