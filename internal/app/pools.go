package app

import (
	"maps"
	"slices"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
)

// PoolConfig is a group of a provider's models that it meters apart from its
// others.
type PoolConfig struct {
	// Models are in this pool and no other. At least one.
	Models []string `yaml:"models"`
	// Concurrency is how many calls to them the whole fleet makes at once; 0: 64.
	Concurrency int `yaml:"concurrency"`
	// Limits are as those of a provider.
	Limits LimitsConfig `yaml:"limits"`
}

// pool is what calls are metered by.
type pool struct {
	name        string
	models      []string
	concurrency int
	limits      LimitsConfig
}

// pools lists the pools of a provider: its own, and provider:group for each group.
func (p ProviderConfig) pools(name string) []pool {
	all := []pool{{name: name, concurrency: p.Concurrency, limits: p.Limits}}
	for _, group := range slices.Sorted(maps.Keys(p.Pools)) {
		g := p.Pools[group]
		all = append(all, pool{name: name + ":" + group, models: g.Models, concurrency: g.Concurrency, limits: g.Limits})
	}
	return all
}

// places is how many calls to a provider the whole fleet makes at once.
func (p ProviderConfig) places() (n int) {
	for _, pool := range p.pools("") {
		n += pool.concurrency
	}
	return n
}

// allModels lists the models that the file names of a provider.
func (p ProviderConfig) allModels() []string {
	all := slices.Clone(p.Models)
	for _, pool := range p.pools("") {
		all = append(all, pool.models...)
	}
	return all
}

func (p ProviderConfig) validatePools(key string) error {
	groups := make(map[string]string)
	for _, name := range slices.Sorted(maps.Keys(p.Pools)) {
		g, key := p.Pools[name], key+".pools."+name
		if !providerName.MatchString(name) {
			return wrong(key, "expected a name of 1 to 32 characters out of a-z, 0-9, _ and -")
		}
		if len(g.Models) == 0 {
			return wrong(key+".models", "expected at least one model")
		}
		for _, model := range g.Models {
			if model == "" {
				return wrong(key+".models", "expected names of models, got an empty one")
			}
			if other, ok := groups[model]; ok {
				return wrong(key+".models", "expected each model in one group and once, got %q, which is in %q already", model, other)
			}
			groups[model] = name
		}
		if g.Concurrency < 0 || g.Concurrency > maxConcurrency {
			return wrong(key+".concurrency", "expected 1 to %d, got %d", maxConcurrency, g.Concurrency)
		}
		if err := g.Limits.validate(key + ".limits"); err != nil {
			return err
		}
	}
	return nil
}

// limits returns the limits of each pool.
func (f *File) limits() map[string]lane.Limits {
	limits := make(map[string]lane.Limits)
	for name, p := range f.Providers {
		for _, pool := range p.pools(name) {
			limits[pool.name] = lane.Limits{
				RequestsPerMinute: pool.limits.RPM, InputTokensPerMinute: pool.limits.ITPM,
				OutputTokensPerMinute: pool.limits.OTPM, Concurrency: int64(pool.concurrency),
			}
		}
	}
	return limits
}

// grouped names the pools of the targets that are in a group.
func (f *File) grouped() map[jobs.Target]string {
	of := make(map[jobs.Target]string)
	for name, p := range f.Providers {
		for _, pool := range p.pools(name) {
			for _, model := range pool.models {
				of[jobs.Target{Provider: name, Model: model}] = pool.name
			}
		}
	}
	return of
}

// groups is grouped, as lanes take it.
func (f *File) groups() lane.Groups {
	of := make(lane.Groups)
	for t, pool := range f.grouped() {
		of[t.String()] = pool
	}
	return of
}

// sizes returns how many calls may be under way at once in each pool.
func (f *File) sizes() map[string]int {
	sizes := make(map[string]int)
	for name, p := range f.Providers {
		for _, pool := range p.pools(name) {
			sizes[pool.name] = pool.concurrency
		}
	}
	return sizes
}
