package jobs

import (
	"maps"
	"slices"
	"strings"
)

// DefaultUseCase is the name, in the configuration, of what jobs are for that do
// not say.
const DefaultUseCase = "default"

// leastShare is the share of who is left none: enough to get on.
const leastShare = 0.01

// UseCase is what jobs may be for: a part of the places of every pool.
type UseCase struct {
	// Share is the part that it gets at least while it has work for it, more than 0
	// and at most 1. What it does not use others do.
	Share float64
	// Most is the part that it never has more of, whatever is free; zero: all.
	Most float64
}

// Line is where executions stand in line for the targets of a route: those of one
// use case. It is empty for those that did not say.
type Line struct{ Route, UseCase string }

// WithUseCases returns the catalog with what jobs may be for, by name. Jobs that do
// not say are for [DefaultUseCase]; if that is not among them it has the share that
// the others leave.
func (c *Catalog) WithUseCases(all map[string]UseCase) *Catalog {
	e := *c.entries.Load()
	e.useCases = make(map[string]UseCase, len(all)+1)
	left := 1.0
	for name, u := range all {
		e.useCases[name] = u
		left -= u.Share
	}
	if _, said := all[DefaultUseCase]; !said {
		e.useCases[DefaultUseCase] = UseCase{Share: max(left, leastShare)}
	}
	with := &Catalog{}
	with.entries.Store(&e)
	return with
}

// UseCases returns what jobs may be for, [DefaultUseCase] always among them. It must
// not be changed.
func (c *Catalog) UseCases() map[string]UseCase { return c.entries.Load().useCases }

// useCase returns what a job is for that says so, or does not, on a route. What is
// not configured is refused with code [CodeUnknownUseCase] and the names that are.
func (c *Catalog) useCase(said string, r Route) (string, error) {
	if said == "" {
		return r.UseCase, nil
	}
	all := c.UseCases()
	if _, ok := all[said]; ok {
		return said, nil
	}
	return "", &Error{
		Code: CodeUnknownUseCase, Pointer: "/use_case",
		Message: "no use case has this name; there are: " + strings.Join(slices.Sorted(maps.Keys(all)), ", "),
	}
}
