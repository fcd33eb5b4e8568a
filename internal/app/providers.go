package app

import (
	"errors"
	"os"
	"slices"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/drift"
	"github.com/penstock-dev/penstock/providers/gemini"
	"github.com/penstock-dev/penstock/providers/keyring"
	"github.com/penstock-dev/penstock/providers/openai"
	"github.com/penstock-dev/penstock/providers/simulated"
	"github.com/penstock-dev/penstock/providers/translate"
)

// buildProviders makes every provider of the file. closers end them.
func buildProviders(f File, o *observed) (all map[string]providers.Provider, closers []func() error, err error) {
	all = make(map[string]providers.Provider, len(f.Providers))
	for name, c := range f.Providers {
		p, closer, err := c.build(name, o)
		if err != nil {
			return nil, closers, err
		}
		served := translate.New(p, c.translation())
		all[name], closers = drift.Watch(served, o.drift(name)), append(closers, closer)
	}
	return all, closers, nil
}

// build makes the provider.
func (c ProviderConfig) build(name string, o *observed) (providers.Provider, func() error, error) {
	key := "providers." + name
	if c.Type == "simulated" {
		return c.buildSimulated(key)
	}
	keys, err := keyring.New(keyring.Config{Keys: c.keys(), Observer: o.keys(name)})
	if e, ok := errors.AsType[*keyring.KeyError](err); ok {
		return nil, nil, wrong(key+"."+e.Name, "%v", e.Err)
	}
	if err != nil {
		return nil, nil, wrong(key, "%v", err)
	}
	header, scheme := c.auth()
	switch c.Type {
	case "anthropic":
		p, err := anthropic.New(anthropic.Config{
			BaseURL: c.BaseURL, URL: c.URL, Headers: c.headers(), Keys: keys, KeyHeader: header, KeyScheme: scheme,
			MaxIdleConns: c.Concurrency, MaxTokens: c.MaxTokens, NoStreaming: c.NoStreaming,
		})
		if err != nil {
			return nil, nil, wrong(key, "%v", err)
		}
		return p, p.Close, nil
	case "gemini":
		p, err := gemini.New(gemini.Config{
			BaseURL: c.BaseURL, URL: c.URL, Headers: c.headers(), Keys: keys, KeyHeader: header, KeyScheme: scheme,
			MaxIdleConns: c.Concurrency, NoStreaming: c.NoStreaming,
		})
		if err != nil {
			return nil, nil, wrong(key, "%v", err)
		}
		return p, p.Close, nil
	default:
		config := c.openAI()
		config.Keys = keys
		p, err := openai.New(config)
		if err != nil {
			return nil, nil, wrong(key, "%v", err)
		}
		return p, p.Close, nil
	}
}

// openAI is all but the keys.
func (c ProviderConfig) openAI() openai.Config {
	config := openai.Config{
		BaseURL: c.BaseURL, URL: c.URL, Headers: c.headers(), MaxIdleConns: c.Concurrency,
		NoDoneEvent: c.NoDoneEvent, NoStreamOptions: c.NoStreamOptions, NoStreaming: c.NoStreaming,
	}
	config.KeyHeader, config.KeyScheme = c.auth()
	for _, name := range c.Endpoints {
		config.Endpoints = append(config.Endpoints, openAIEndpoints[name])
	}
	return config
}

func (c ProviderConfig) buildSimulated(key string) (providers.Provider, func() error, error) {
	faults, err := c.faults()
	if err != nil {
		return nil, nil, wrong(key+".faults", "%v", err)
	}
	server, err := simulated.New(simulated.Config{Seed: c.Seed, Faults: faults})
	if err != nil {
		return nil, nil, wrong(key, "%v", err)
	}
	return server.Provider(), server.Close, nil
}

// checks returns, by provider, what says which requests it cannot carry. They
// need no connection: an API without workers has them too.
func (f *File) checks() map[string]providers.Check {
	checks := make(map[string]providers.Check)
	for name, p := range f.Providers {
		checks[name] = translate.Check(p.check(), p.translation())
	}
	return checks
}

// check says what the provider's own format cannot carry.
func (c ProviderConfig) check() providers.Check {
	switch c.Type {
	case "simulated":
		return simulated.Check
	case "anthropic":
		return anthropic.Check
	case "gemini":
		return gemini.Check
	default:
		return c.openAI().Check
	}
}

// translation says which endpoints the provider has itself. A server that has
// Responses is one that knows the newer name of an answer's bound.
func (c ProviderConfig) translation() translate.Config {
	switch c.Type {
	case "simulated":
		return translate.Config{Native: simulated.Endpoints(), NewLimit: true}
	case "anthropic":
		return translate.Config{Native: anthropic.Endpoints(), NewLimit: true}
	case "gemini":
		return translate.Config{Native: []string{providers.ChatCompletions}, NewLimit: true}
	default:
		native := c.openAI().Serves()
		return translate.Config{Native: native, NewLimit: slices.Contains(native, providers.Responses)}
	}
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
