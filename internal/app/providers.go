package app

import (
	"os"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/openai"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// buildProviders makes every provider of the file. closers end them.
func buildProviders(f File) (all map[string]providers.Provider, closers []func() error, err error) {
	all = make(map[string]providers.Provider, len(f.Providers))
	for name, c := range f.Providers {
		if c.Type == "simulated" {
			faults, err := c.faults()
			if err != nil {
				return nil, closers, wrong("providers."+name+".faults", "%v", err)
			}
			server, err := simulated.New(simulated.Config{Seed: c.Seed, Faults: faults})
			if err != nil {
				return nil, closers, wrong("providers."+name, "%v", err)
			}
			all[name], closers = server.Provider(), append(closers, server.Close)
			continue
		}
		p, err := openai.New(openai.Config{
			BaseURL: c.BaseURL, APIKey: openai.Secret(c.APIKey), MaxIdleConns: c.Concurrency,
			NoDoneEvent: c.NoDoneEvent, NoStreamOptions: c.NoStreamOptions, NoStreaming: c.NoStreaming,
		})
		if err != nil {
			return nil, closers, wrong("providers."+name, "%v", err)
		}
		all[name], closers = p, append(closers, p.Close)
	}
	return all, closers, nil
}

// faults returns nil for the simulated provider's own defaults. Of a latency
// alone, the time per token keeps its ratio to it: zero means no time at all.
func (c ProviderConfig) faults() (*simulated.Faults, error) {
	if c.Faults != "" {
		file, err := os.Open(c.Faults)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		f, err := simulated.ParseFaults(file)
		return &f, err
	}
	if c.Latency == nil {
		return nil, nil
	}
	f := simulated.DefaultFaults()
	f.PerToken = simulated.Duration(float64(f.PerToken) * float64(*c.Latency) / float64(f.Latency))
	f.Latency = simulated.Duration(*c.Latency)
	return &f, nil
}

// concurrency returns, by provider, how many calls may be under way.
func (f *File) concurrency() map[string]int {
	pools := make(map[string]int, len(f.Providers))
	for name, p := range f.Providers {
		pools[name] = p.Concurrency
	}
	return pools
}
