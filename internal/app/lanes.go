package app

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
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

// buildLanes makes what gives leave to send. Each provider is one quota pool.
func buildLanes(client redis.UniversalClient, store lane.Store, f File) (*lane.Lanes, error) {
	return lane.New(client, store, lane.Config{Limits: f.limits(), Lease: permitLease})
}

// limits returns the limits of each pool.
func (f *File) limits() map[string]lane.Limits {
	limits := make(map[string]lane.Limits, len(f.Providers))
	for name, p := range f.Providers {
		limits[name] = lane.Limits{
			RequestsPerMinute: p.Limits.RPM, InputTokensPerMinute: p.Limits.ITPM, OutputTokensPerMinute: p.Limits.OTPM,
			Concurrency: int64(p.Concurrency),
		}
	}
	return limits
}

// targets lists the targets that the file names, in order.
func (f *File) targets() []jobs.Target {
	all := make(map[jobs.Target]bool)
	for name, r := range f.Routes {
		for _, t := range r.route(name).Targets {
			all[t] = true
		}
	}
	for name, p := range f.Providers {
		for _, model := range p.Models {
			all[jobs.Target{Provider: name, Model: model}] = true
		}
	}
	return slices.SortedFunc(maps.Keys(all), func(a, b jobs.Target) int { return strings.Compare(a.String(), b.String()) })
}
