package app

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/httpapi"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
	"github.com/penstock-dev/penstock/providers/latency"
)

// permitLease is how long a place of a worker that died stays taken: about as long
// as it takes to declare it dead.
const permitLease = 10 * time.Second

// maxLimit bounds limits per minute, far above what any provider has.
const maxLimit = 1_000_000_000

func (l LimitsConfig) validate(key string) error {
	for name, n := range map[string]int64{"rpm": l.RPM, "itpm": l.ITPM, "otpm": l.OTPM} {
		if n < 0 || n > maxLimit {
			return wrong(key+"."+name, "expected 1 to %d, got %d", maxLimit, n)
		}
	}
	return nil
}

// buildLanes makes what gives leave to send.
func buildLanes(client redis.UniversalClient, store lane.Store, f File) (*lane.Lanes, error) {
	return lane.New(client, store, lane.Config{Limits: f.limits(), Groups: f.groups(), Lease: permitLease})
}

// targets lists the targets that the file names, in order.
func (f *File) targets() []jobs.Target {
	all := make(map[jobs.Target]bool)
	for name, r := range f.Routes {
		route := r.route(name)
		for _, t := range slices.Concat(route.Targets, route.Degraded) {
			all[t] = true
		}
	}
	for name, p := range f.Providers {
		for _, model := range p.allModels() {
			all[jobs.Target{Provider: name, Model: model}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b jobs.Target) int { return strings.Compare(a.String(), b.String()) })
}

// operated is the lanes as the API tells of them.
type operated struct {
	lanes     *lane.Lanes
	latencies *latency.Fleet
	// targets and pools list what the file in force names, in order; limits are its
	// pools'.
	targets func() []jobs.Target
	pools   func() []string
	limits  func() map[string]lane.Limits
}

var _ httpapi.Lanes = operated{}

// List tells how every target is. A lane that cannot be known is one that lets
// nothing through.
func (o operated) List(ctx context.Context) ([]httpapi.Lane, error) {
	var names []lane.Lane
	for _, t := range o.targets() {
		names = append(names, o.lanes.Of(t.String()))
	}
	states, err := o.lanes.States(ctx, names...)
	if states == nil && err != nil {
		return nil, unknownLanes(err)
	}
	o.refresh(ctx)
	all := make([]httpapi.Lane, len(states))
	for i, s := range states {
		all[i] = told(s)
		took := o.latencies.Summary(latency.Target{Pool: s.Provider(), Name: s.Target})
		all[i].Total, all[i].FirstToken, all[i].Queue = toldOf(took.Total), toldOf(took.FirstToken), toldOf(took.Queue)
	}
	return all, nil
}

// refresh asks for the latencies of other processes, for a moment.
func (o operated) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	_ = o.latencies.Refresh(ctx) // without them, what is known here
}

func toldOf(d latency.Distribution) httpapi.Percentiles {
	return httpapi.Percentiles{P50: d.P50.Value, P95: d.P95.Value, P99: d.P99.Value}
}

func unknownLanes(err error) error {
	return &jobs.Error{
		Code: httpapi.CodeLanesUnavailable, Err: err,
		Message: "Redis cannot be reached, and it alone knows how lanes are: repeat the request",
	}
}

func told(s lane.State) httpapi.Lane {
	return httpapi.Lane{
		LaneName: httpapi.LaneName{Target: s.Target, Pool: s.Pool},
		State:    stateOf(s), For: shutFor(s), ByOperator: s.ByOperator,
		Limits: httpapi.LaneLimits(s.Limits),
		Learned: httpapi.LaneLimits{
			RequestsPerMinute: s.Learned.Requests, InputTokensPerMinute: s.Learned.Input, OutputTokensPerMinute: s.Learned.Output,
		},
		Left: httpapi.LaneLimits{
			RequestsPerMinute: s.Requests, InputTokensPerMinute: s.Input, OutputTokensPerMinute: s.Output, Concurrency: s.Slots,
		},
		Running: s.InLane, RunningInPool: s.InPool, Openings: s.Openings, Normal: s.Normal,
		Good: s.LastMinute.Good, Bad: s.LastMinute.Bad, Other: s.LastMinute.Other,
	}
}

// shutFor is how long a lane is shut; zero when it is not, or nobody knows.
func shutFor(s lane.State) time.Duration {
	if s.Reason == "" {
		return s.UsedUp
	}
	return s.For
}

// stateOf is the one word for how a lane is.
func stateOf(s lane.State) string {
	switch {
	case s.Reason == lane.Rebuilding:
		return "unknown"
	case s.Reason == lane.Paused, s.Reason == lane.Drained:
		return string(s.Reason)
	case s.Reason == lane.RateLimit, s.UsedUp > 0:
		return "rate_limited"
	case s.Probing:
		return "probing"
	case s.Untried:
		return "breaker_open"
	case s.Recovering:
		return "recovering"
	case s.Reason == lane.Capacity:
		return "full"
	default:
		return "open"
	}
}

// Pause, Drain and Resume act on a lane that the configuration has.
func (o operated) Pause(ctx context.Context, n httpapi.LaneName) error {
	return o.act(ctx, n, o.lanes.Pause)
}

func (o operated) Drain(ctx context.Context, n httpapi.LaneName) error {
	return o.act(ctx, n, o.lanes.Drain)
}

func (o operated) Resume(ctx context.Context, n httpapi.LaneName) error {
	return o.act(ctx, n, o.lanes.Resume)
}

func (o operated) act(ctx context.Context, n httpapi.LaneName, do func(context.Context, lane.Lane) error) error {
	l := lane.Lane{Pool: n.Pool}
	if n.Target != "" {
		l = o.lanes.Of(n.Target)
	}
	if err := o.known(n); err != nil {
		return err
	}
	return do(ctx, l)
}

// SetLimits replaces limits of a pool. Those that are not wanted otherwise are as
// the file has them now.
func (o operated) SetLimits(ctx context.Context, pool string, want *httpapi.LimitsWanted) error {
	if err := o.known(httpapi.LaneName{Pool: pool}); err != nil {
		return err
	}
	if want == nil {
		return o.lanes.SetLimits(ctx, pool, nil)
	}
	limits := o.limits()[pool]
	for _, l := range []struct {
		name string
		want *int64
		to   *int64
	}{
		{"rpm", want.RequestsPerMinute, &limits.RequestsPerMinute},
		{"itpm", want.InputTokensPerMinute, &limits.InputTokensPerMinute},
		{"otpm", want.OutputTokensPerMinute, &limits.OutputTokensPerMinute},
		{"concurrency", want.Concurrency, &limits.Concurrency},
	} {
		switch {
		case l.want == nil:
		case *l.want < 0 || *l.want > maxLimit:
			return jobs.Invalid("/limits/"+l.name, "must be 1 to %d, or 0 for no limit", maxLimit)
		default:
			*l.to = *l.want
		}
	}
	return o.lanes.SetLimits(ctx, pool, &limits)
}

// known returns an error unless the configuration has the lane or pool.
func (o operated) known(n httpapi.LaneName) error {
	field, name, names := "/pool", n.Pool, o.pools()
	if n.Target != "" {
		field, name, names = "/target", n.Target, nil
		for _, t := range o.targets() {
			names = append(names, t.String())
		}
	}
	if slices.Contains(names, name) {
		return nil
	}
	return jobs.Invalid(field, "is not configured; there are: %s", strings.Join(names, ", "))
}
