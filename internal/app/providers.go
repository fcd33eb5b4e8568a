package app

import (
	"errors"
	"maps"
	"os"
	"reflect"
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

// built is a provider that was made.
type built struct {
	config   ProviderConfig
	provider providers.Provider
	// keys is nil for type simulated.
	keys *keyring.Ring
	// close ends the provider; nil if it was built before.
	close func() error
}

// buildProviders makes the providers of the file, but for those that are there
// already. If one cannot be made it makes none, and the error has every mistake.
func buildProviders(f File, o *observed, there map[string]built) (map[string]built, error) {
	all := make(map[string]built, len(f.Providers))
	var mistakes ConfigErrors
	for _, name := range slices.Sorted(maps.Keys(f.Providers)) {
		c := f.Providers[name]
		if b, ok := there[name]; ok && reflect.DeepEqual(b.config, c) {
			b.close = nil
			all[name] = b
			continue
		}
		b, err := c.build(name, o)
		mistakes = mistakes.with(err)
		all[name] = b
	}
	if err := mistakes.err(); err != nil {
		closeAll(all)
		return nil, err
	}
	return all, nil
}

func closeAll(all map[string]built) {
	for _, b := range all {
		if b.close != nil {
			_ = b.close()
		}
	}
}

// build makes the provider.
func (c ProviderConfig) build(name string, o *observed) (b built, err error) {
	key := "providers." + name
	b.config = c
	if c.Type == "simulated" {
		b.provider, b.close, err = c.buildSimulated(key)
	} else {
		b.provider, b.keys, b.close, err = c.buildRemote(key, o.keys(name))
	}
	if err != nil {
		return built{}, err
	}
	b.provider = drift.Watch(translate.New(b.provider, c.translation()), o.drift(name))
	return b, nil
}

func (c ProviderConfig) buildRemote(
	key string, o keyring.Observer,
) (providers.Provider, *keyring.Ring, func() error, error) {
	keys, err := keyring.New(keyring.Config{Keys: c.keys(), Observer: o})
	if e, ok := errors.AsType[*keyring.KeyError](err); ok {
		return nil, nil, nil, wrong(key+"."+e.Name, "%v", e.Err)
	}
	if err != nil {
		return nil, nil, nil, wrong(key, "%v", err)
	}
	var p interface {
		providers.Provider
		Close() error
	}
	switch c.Type {
	case "anthropic":
		p, err = anthropic.New(c.anthropic(keys))
	case "gemini":
		p, err = gemini.New(c.gemini(keys))
	default:
		p, err = openai.New(c.openAI(keys))
	}
	if err != nil {
		return nil, nil, nil, wrong(key, "%v", err)
	}
	return p, keys, p.Close, nil
}

func (c ProviderConfig) anthropic(keys *keyring.Ring) anthropic.Config {
	header, scheme := c.auth()
	return anthropic.Config{
		BaseURL: c.BaseURL, URL: c.URL, Headers: c.headers(), Keys: keys, KeyHeader: header, KeyScheme: scheme,
		MaxIdleConns: c.places(), MaxTokens: c.MaxTokens, NoStreaming: c.NoStreaming,
	}
}

func (c ProviderConfig) gemini(keys *keyring.Ring) gemini.Config {
	header, scheme := c.auth()
	return gemini.Config{
		BaseURL: c.BaseURL, URL: c.URL, Headers: c.headers(), Keys: keys, KeyHeader: header, KeyScheme: scheme,
		MaxIdleConns: c.places(), NoStreaming: c.NoStreaming,
	}
}

func (c ProviderConfig) openAI(keys *keyring.Ring) openai.Config {
	config := openai.Config{
		BaseURL: c.BaseURL, URL: c.URL, Headers: c.headers(), Keys: keys, MaxIdleConns: c.places(),
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
		return c.openAI(nil).Check
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
		return translate.Config{Native: gemini.Endpoints(), NewLimit: true}
	default:
		native := c.openAI(nil).Serves()
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
	places := make(map[string]int, len(f.Providers))
	for name, p := range f.Providers {
		places[name] = p.places()
	}
	return places
}
