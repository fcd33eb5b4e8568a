package app

import (
	"maps"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/jobs"
)

// UseCaseConfig is what jobs may be for: a part of the places of every provider.
type UseCaseConfig struct {
	// Share is the part that it gets at least while it has work; what it does not use
	// others do. Those of all use cases together are at most 1.
	Share float64 `yaml:"share"`
	// Most is the part that it never has more of, whatever is free; 0: all.
	Most float64 `yaml:"most"`
}

// validateUseCases checks the use cases, and that each route's is one of them.
func (f *File) validateUseCases() error {
	sum := 0.0
	for _, name := range slices.Sorted(maps.Keys(f.UseCases)) {
		u, key := f.UseCases[name], "use_cases."+name
		switch {
		case name == "" || len(name) > 64:
			return wrong("use_cases", "expected names of 1 to 64 characters, got %q", name)
		case !(u.Share > 0 && u.Share <= 1):
			return wrong(key+".share", "expected more than 0 and at most 1, got %v", u.Share)
		case !(u.Most == 0 || u.Most >= u.Share && u.Most <= 1):
			return wrong(key+".most", "expected at least share and at most 1, got %v", u.Most)
		}
		sum += u.Share
	}
	const rounding = 1e-9
	if sum > 1+rounding {
		return wrong("use_cases", "expected shares of at most 1 together, got %v", sum)
	}
	all := f.catalog().UseCases()
	for _, name := range slices.Sorted(maps.Keys(f.Routes)) {
		u := f.Routes[name].UseCase
		if _, ok := all[u]; !ok && u != "" {
			return wrong("routes."+name+".use_case", "expected one of %s, got %q",
				strings.Join(slices.Sorted(maps.Keys(all)), ", "), u)
		}
	}
	return nil
}

// useCases returns what jobs may be for.
func (f *File) useCases() map[string]jobs.UseCase {
	all := map[string]jobs.UseCase{}
	for name, u := range f.UseCases {
		all[name] = jobs.UseCase(u)
	}
	return all
}
