package app

import (
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// TimeoutsConfig bounds a call in four ways. What is not there is as the provider's
// says where this is a route's; else 10s, 60s, 30s and 10m.
type TimeoutsConfig struct {
	// Connect is until a connection is ready.
	Connect time.Duration `yaml:"connect"`
	// FirstToken is from then until something of the answer is there.
	FirstToken time.Duration `yaml:"first_token"`
	// BetweenTokens is between two pieces of the answer.
	BetweenTokens time.Duration `yaml:"between_tokens"`
	// Total is of the whole call.
	Total time.Duration `yaml:"total"`
}

func (c TimeoutsConfig) validate(key string) error {
	for _, f := range []struct {
		name  string
		value time.Duration
	}{
		{"connect", c.Connect}, {"first_token", c.FirstToken}, {"between_tokens", c.BetweenTokens}, {"total", c.Total},
	} {
		if f.value < 0 {
			return wrong(key+"."+f.name, "expected a duration such as 60s, got %s", f.value)
		}
	}
	return nil
}

func (c TimeoutsConfig) timeouts() providers.Timeouts {
	return providers.Timeouts{Connect: c.Connect, FirstToken: c.FirstToken, Stall: c.BetweenTokens, Total: c.Total}
}

// providerTimeouts returns those of each provider, whole.
func (f *File) providerTimeouts() map[string]providers.Timeouts {
	all := make(map[string]providers.Timeouts, len(f.Providers))
	for name, p := range f.Providers {
		all[name] = p.Timeouts.timeouts().Or(jobs.DefaultTimeouts())
	}
	return all
}
