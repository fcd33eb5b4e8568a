package app

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/penstock-dev/penstock/internal/httpapi"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

// reloader puts a changed configuration file into force: providers, routes and use cases,
// all at once or not at all. Work under way ends with what it began with.
type reloader struct {
	// load reads the file again; nil when there never was one.
	load    func() (File, error)
	parts   *parts
	catalog *jobs.Catalog
	o       *observed

	mu sync.Mutex
	// file is what is in force, built its providers in a process that runs.
	file  File
	built map[string]built
}

// reload reads the file and puts it into force. When there is anything wrong
// with it, nothing changes and the error has every mistake.
func (r *reloader) reload() (httpapi.Reloaded, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	told, err := r.replace()
	if err != nil {
		r.o.reloads.WithLabelValues("refused").Inc()
		for _, mistake := range mistakesIn(err) {
			r.o.log.Error().Str("key", mistake.Key).Str("why", mistake.Reason).Msg("the configuration is refused, the old one stays")
		}
		return httpapi.Reloaded{}, err
	}
	r.o.reloads.WithLabelValues("done").Inc()
	r.o.log.Info().Strs("changed", told.Changed).Msg("the configuration was read again")
	if len(told.Restart) > 0 {
		r.o.log.Warn().Strs("keys", told.Restart).Msg("what changed here takes a restart")
	}
	return told, nil
}

func (r *reloader) replace() (httpapi.Reloaded, error) {
	if r.load == nil {
		return httpapi.Reloaded{}, wrong("PENSTOCK_CONFIG", "there is no file to read again")
	}
	f, err := r.load()
	if err != nil {
		return httpapi.Reloaded{}, err
	}
	next, err := r.build(f)
	if err != nil {
		return httpapi.Reloaded{}, err
	}
	told := httpapi.Reloaded{Changed: r.changed(f), Restart: r.fixed(f)}
	if err := r.swap(f, next); err != nil {
		return httpapi.Reloaded{}, fmt.Errorf("reload: %w", err)
	}
	r.file.Providers, r.file.Routes, r.file.UseCases, r.file.Tenants, r.built = f.Providers, f.Routes, f.UseCases, f.Tenants, next
	return told, nil
}

// targets lists those of the file in force.
func (r *reloader) targets() []jobs.Target {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.targets()
}

// pools lists those of the file in force.
func (r *reloader) pools() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Sorted(maps.Keys(r.file.sizes()))
}

// limits are those of the pools of the file in force.
func (r *reloader) limits() map[string]lane.Limits {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.file.limits()
}

// build makes the providers that are not there already, in a process that calls
// them.
func (r *reloader) build(f File) (map[string]built, error) {
	if r.parts.runner == nil {
		return nil, nil
	}
	return buildProviders(f, r.o, r.built)
}

// swap gives every part what it needs of f. It does not fail for a file that is
// valid. The catalog comes last: no route leads to a provider that is not there.
func (r *reloader) swap(f File, next map[string]built) error {
	if err := r.parts.lanes.Configure(f.limits(), f.groups()); err != nil {
		return err
	}
	if r.parts.runner != nil {
		if err := r.parts.runner.Serve(callable(next), f.concurrency()); err != nil {
			return err
		}
	}
	for _, b := range next {
		if b.close != nil {
			r.parts.closers = append(r.parts.closers, b.close) // at the end: calls may be under way
		} else if b.keys != nil {
			b.keys.Reload()
		}
	}
	if err := r.parts.dispatcher.Resize(f.sizes(), f.grouped()); err != nil {
		return err
	}
	r.parts.service.SetChecks(f.checks())
	if hooks := r.parts.webhooks.service; hooks != nil {
		hooks.SetAllowed(f.allowed())
	}
	r.catalog.Replace(f.catalog())
	return nil
}

// callable returns the providers by name.
func callable(all map[string]built) map[string]providers.Provider {
	out := make(map[string]providers.Provider, len(all))
	for name, b := range all {
		out[name] = b.provider
	}
	return out
}

// changed names the providers, routes, use cases and tenants that are not what they were.
func (r *reloader) changed(f File) []string {
	names := slices.Concat(differing("providers.", r.file.Providers, f.Providers),
		differing("routes.", r.file.Routes, f.Routes), differing("use_cases.", r.file.UseCases, f.UseCases),
		differing("tenants.", r.file.Tenants, f.Tenants))
	slices.Sort(names)
	return names
}

// differing returns the keys under which two maps have not the same.
func differing[V any](prefix string, was, is map[string]V) (names []string) {
	all := maps.Clone(was)
	if all == nil {
		all = make(map[string]V)
	}
	maps.Copy(all, is)
	for name := range all {
		before, had := was[name]
		after, has := is[name]
		if had != has || !reflect.DeepEqual(before, after) {
			names = append(names, prefix+name)
		}
	}
	return names
}

// fixed names the keys of the file that differ from what the process began
// with and that it cannot change.
func (r *reloader) fixed(f File) (names []string) {
	was, is := reflect.ValueOf(r.file), reflect.ValueOf(f)
	for i := range was.NumField() {
		name, _, _ := strings.Cut(was.Type().Field(i).Tag.Get("yaml"), ",")
		if slices.Contains([]string{"providers", "routes", "use_cases", "tenants"}, name) {
			continue
		}
		if !reflect.DeepEqual(was.Field(i).Interface(), is.Field(i).Interface()) {
			names = append(names, name)
		}
	}
	return names
}

// ConfigErrors are all the mistakes of a configuration, in one line.
type ConfigErrors []*ConfigError

// Error says all of them.
func (e ConfigErrors) Error() string {
	lines := make([]string, len(e))
	for i, mistake := range e {
		lines[i] = mistake.Error()
	}
	return strings.Join(lines, "; ")
}

// Unwrap returns the mistakes.
func (e ConfigErrors) Unwrap() []error {
	all := make([]error, len(e))
	for i, mistake := range e {
		all[i] = mistake
	}
	return all
}

// with returns e and what is wrong in err, if anything is.
func (e ConfigErrors) with(err error) ConfigErrors {
	if err == nil {
		return e
	}
	return append(e, mistakesIn(err)...)
}

// err returns nil, the one mistake, or all.
func (e ConfigErrors) err() error {
	switch len(e) {
	case 0:
		return nil
	case 1:
		return e[0]
	default:
		return e
	}
}

// mistakesIn returns what is wrong by key. What is not by a key concerns the
// file.
func mistakesIn(err error) ConfigErrors {
	if all, ok := errors.AsType[ConfigErrors](err); ok {
		return all
	}
	if one, ok := errors.AsType[*ConfigError](err); ok {
		return ConfigErrors{one}
	}
	return ConfigErrors{{Key: "PENSTOCK_CONFIG", Reason: err.Error()}}
}

// forHTTP is reload with mistakes as the API tells them.
func (r *reloader) forHTTP() (httpapi.Reloaded, error) {
	told, err := r.reload()
	if err == nil {
		return told, nil
	}
	var refused httpapi.ConfigErrors
	for _, mistake := range mistakesIn(err) {
		refused = append(refused, httpapi.ConfigMistake{Key: mistake.Key, Reason: mistake.Reason})
	}
	return told, refused
}
