package app

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/latency"
	"github.com/penstock-dev/penstock/providers/tokens"
)

// latencies are how long calls take, and what follows from it.
type latencies struct{ fleet *latency.Fleet }

// roughInput is quick enough for every submission.
func roughInput(endpoint string, body []byte) int64 {
	input, _ := tokens.Rough(endpoint, body)
	return input
}

// hedgeAfter implements [run.Config] HedgeAfter.
func (l *latencies) hedgeAfter(t jobs.Target, budget float64) (time.Duration, bool) {
	return latency.HedgeDelay(l.fleet.Summary(latencyTarget(t)), budget)
}

// weight implements [dispatch.Config] Weight: twice as quick is twice as good. One
// of which nothing is known yet is as good as one that takes a second.
func (l *latencies) weight(t jobs.Target) float64 {
	typical := l.fleet.Summary(latencyTarget(t)).Total.P50.Value
	if typical <= 0 {
		typical = time.Second
	}
	return 1 / typical.Seconds()
}

// leastTimeouts is what an adaptive timeout is at least: what is quick today may take
// a moment tomorrow.
var leastTimeouts = providers.Timeouts{
	Connect: time.Second, FirstToken: 2 * time.Second, Stall: 2 * time.Second, Total: 5 * time.Second,
}

// timeouts implements [run.Config] Timeouts.
func (l *latencies) timeouts(t jobs.Target, most providers.Timeouts, e tokens.Estimate) providers.Timeouts {
	known, bounds := l.fleet.Summary(latencyTarget(t)), latency.Bounds{Min: leastTimeouts, Max: most}
	if latency.Explore(known, bounds, rand.Uint64()) { //nolint:gosec // draws one of some, guards nothing
		return most
	}
	return latency.Timeouts(known, bounds, latency.Size{Input: e.Input, Output: e.Limit})
}

// observe returns an observer that tells o, and takes in calls that ended.
func (l *latencies) observe(o run.Observer) run.Observer {
	told := o.Ended
	o.Ended = func(a run.Attempt) {
		told(a)
		l.ended(a)
	}
	return o
}

// ended takes in a call. One that failed by itself says nothing about how long
// an answer takes.
func (l *latencies) ended(a run.Attempt) {
	c := a.Call
	if c.Latency == 0 || c.Status == jobs.CallFailure {
		return
	}
	l.fleet.Record(latencyTarget(jobs.Target{Provider: c.Provider, Model: c.Model}), latency.Sample{
		Total: c.Latency, FirstToken: c.TimeToFirstToken, Gap: a.Gap, Queue: queued(a), Cut: c.Status != jobs.CallSuccess,
		InputTokens: c.Usage.InputTokens, OutputTokens: c.Usage.OutputTokens,
	})
}

// queued returns how long an execution was there before its first run; zero for
// a later run, of which only the store knows since when it waited.
func queued(a run.Attempt) time.Duration {
	if a.Task.Fence != 1 || a.Task.Execution.Version() != 7 {
		return 0
	}
	return a.Call.CreatedAt.Sub(uuidTime(a.Task.Execution))
}

// uuidTime returns when a UUIDv7 was made, to the millisecond.
func uuidTime(id uuid.UUID) time.Time {
	seconds, nanoseconds := id.Time().UnixTime()
	return time.Unix(seconds, nanoseconds)
}

func latencyTarget(t jobs.Target) latency.Target {
	return latency.Target{Pool: t.Provider, Name: t.String()}
}

// percentiles tells the fleet's latencies as metrics, of the targets that the
// file names and no others.
type percentiles struct {
	fleet   *latency.Fleet
	targets []jobs.Target
	value   *prometheus.Desc
	bound   *prometheus.Desc
}

// refreshTimeout bounds how long the metrics wait for the numbers of others.
const refreshTimeout = 250 * time.Millisecond

func newPercentiles(fleet *latency.Fleet, targets []jobs.Target) *percentiles {
	labels := []string{"provider", "model", "time", "quantile"}
	return &percentiles{
		fleet: fleet, targets: targets,
		value: prometheus.NewDesc("penstock_latency_seconds",
			"Percentiles over the whole fleet's calls of the last five minutes.", labels, nil),
		bound: prometheus.NewDesc("penstock_latency_is_lower_bound",
			"1 if so many calls were broken off that the percentile is known to be at least the value, else 0.", labels, nil),
	}
}

// Describe implements [prometheus.Collector].
func (p *percentiles) Describe(to chan<- *prometheus.Desc) {
	to <- p.value
	to <- p.bound
}

// Collect implements [prometheus.Collector]. Targets without calls tell nothing.
func (p *percentiles) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), refreshTimeout)
	defer cancel()
	_ = p.fleet.Refresh(ctx) // without it, what is known here
	for _, t := range p.targets {
		s := p.fleet.Summary(latencyTarget(t))
		for name, d := range map[string]latency.Distribution{"total": s.Total, "first_token": s.FirstToken, "queue": s.Queue} {
			if d.Count > 0 {
				p.tell(to, d, t.Provider, t.Model, name)
			}
		}
	}
}

func (p *percentiles) tell(to chan<- prometheus.Metric, d latency.Distribution, labels ...string) {
	for quantile, q := range map[string]latency.Quantile{"0.5": d.P50, "0.95": d.P95, "0.99": d.P99} {
		bound := 0.0
		if q.AtLeast {
			bound = 1
		}
		with := append(slices.Clone(labels), quantile)
		to <- prometheus.MustNewConstMetric(p.value, prometheus.GaugeValue, q.Value.Seconds(), with...)
		to <- prometheus.MustNewConstMetric(p.bound, prometheus.GaugeValue, bound, with...)
	}
}
