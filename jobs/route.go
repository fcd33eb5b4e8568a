package jobs

import (
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// Target is a provider and one of its models.
type Target struct {
	Provider string
	Model    string
}

// String returns provider/model.
func (t Target) String() string { return t.Provider + "/" + t.Model }

// Mode is how a route chooses among its targets.
type Mode string

// The modes. The zero value is active_passive.
const (
	// ActivePassive: in order, the next when those before it are not worth waiting
	// for.
	ActivePassive Mode = "active_passive"
	// ActiveActive: any of them, the better the more often.
	ActiveActive Mode = "active_active"
)

// Weigh says how much of a difference it makes for how often a target is called: not
// any (0), as much as there is (1: half the price, twice the calls), more, or less.
// The zero value is 1 for both.
type Weigh struct{ Latency, Price float64 }

// OrDefault returns what w stands for.
func (w Weigh) OrDefault() Weigh {
	if w == (Weigh{}) {
		return Weigh{Latency: 1, Price: 1}
	}
	return w
}

// Route is a named, ordered set of targets with its policies.
type Route struct {
	Name    string
	Targets []Target
	Mode    Mode
	// MaxAttempts bounds tries, not calls: at least 1.
	MaxAttempts int
	// Timeouts bound a call; ProviderTimeouts, by provider, in the place of its zero
	// fields.
	Timeouts         providers.Timeouts
	ProviderTimeouts map[string]providers.Timeouts
	// Adaptive shortens these to what the target's calls took lately.
	Adaptive bool
	// Patience is how long a request waits for a target that lets nothing through
	// before the next one is called.
	Patience time.Duration
	// HedgeBudget is which part of the calls may be second ones, made because the
	// first token of the first was late; zero: none.
	HedgeBudget float64
	// OnUnavailable is what jobs want that do not say: see [OnUnavailable].
	OnUnavailable OnUnavailable
	// Weigh is how much speed and price count where the mode is active_active.
	Weigh Weigh
	// UseCase is what jobs are for that do not say; empty: [DefaultUseCase].
	UseCase string
	// Degraded are lesser targets, called for jobs that would degrade while none of
	// Targets can be; in order.
	Degraded []Target
}

// TimeoutsOf returns what bounds a call to the target.
func (r Route) TimeoutsOf(t Target) providers.Timeouts {
	return r.Timeouts.Or(r.ProviderTimeouts[t.Provider])
}

// Catalog knows what a caller's model may name. It is safe for use by many
// goroutines.
type Catalog struct {
	entries atomic.Pointer[entries]
}

// entries are what a catalog has. They do not change once made.
type entries struct {
	routes map[string]Route
	// models lists, by provider, the models that may be named without it.
	models   map[string][]string
	useCases map[string]UseCase
	prices   map[Target]Price
	defaults Route
}

// NewCatalog returns a catalog of the given routes and of every provider's
// models. defaults gives the policies of a target that is named without a route.
func NewCatalog(routes []Route, models map[string][]string, defaults Route) *Catalog {
	e := &entries{routes: make(map[string]Route, len(routes)), models: models, defaults: defaults, useCases: map[string]UseCase{DefaultUseCase: {Share: 1}}}
	for _, r := range routes {
		e.routes[r.Name] = r
	}
	c := &Catalog{}
	c.entries.Store(e)
	return c
}

// Replace puts what another catalog has in the place of all that c has.
func (c *Catalog) Replace(by *Catalog) { c.entries.Store(by.entries.Load()) }

// Resolve looks model up as a route, then as provider/model, then in the
// providers' models. Otherwise the error has code [CodeUnknownModel] and names
// what exists.
func (c *Catalog) Resolve(model string) (Route, error) { return c.entries.Load().resolve(model) }

func (e *entries) resolve(model string) (Route, error) {
	if r, ok := e.routes[model]; ok {
		return r, nil
	}
	if provider, name, ok := strings.Cut(model, "/"); ok && name != "" {
		if _, ok := e.models[provider]; ok {
			return e.direct(Target{Provider: provider, Model: name}), nil
		}
	}
	for _, provider := range e.providers() {
		if slices.Contains(e.models[provider], model) {
			return e.direct(Target{Provider: provider, Model: model}), nil
		}
	}
	return Route{}, &Error{
		Code: CodeUnknownModel, Pointer: "/request/model",
		Message: "no route or model has this name; there are: " + strings.Join(e.names(), ", "),
	}
}

// Model is something that a caller's model may name.
type Model struct {
	Name string
	// Provider is that of a target; a route has none.
	Provider string
}

// Models lists what callers may name and is known by name: routes, then the models of
// providers and the targets of routes as provider/model. Others may be named as well:
// see [Catalog.Resolve].
func (c *Catalog) Models() []Model {
	e := c.entries.Load()
	var all []Model
	targets := map[Target]bool{}
	for _, name := range slices.Sorted(maps.Keys(e.routes)) {
		all = append(all, Model{Name: name})
		for _, t := range e.routes[name].Targets {
			targets[t] = true
		}
	}
	for provider, models := range e.models {
		for _, m := range models {
			targets[Target{Provider: provider, Model: m}] = true
		}
	}
	for _, t := range slices.SortedFunc(maps.Keys(targets), func(a, b Target) int { return strings.Compare(a.String(), b.String()) }) {
		all = append(all, Model{Name: t.String(), Provider: t.Provider})
	}
	return all
}

// Direct reports whether the route is that of a target which was named without one.
func (r Route) Direct() bool { return len(r.Targets) == 1 && r.Name == r.Targets[0].String() }

func (e *entries) direct(t Target) Route {
	r := e.defaults
	r.Name, r.Targets = t.String(), []Target{t}
	return r
}

// names lists what a caller may write, routes first, bounded in length.
func (e *entries) names() []string {
	var names []string
	for name := range e.routes {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, provider := range e.providers() {
		for _, m := range e.models[provider] {
			names = append(names, provider+"/"+m)
		}
		if len(e.models[provider]) == 0 {
			names = append(names, provider+"/…")
		}
	}
	const most = 50
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return names
}

func (e *entries) providers() []string {
	var names []string
	for name := range e.models {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// DefaultTimeouts bound a call whose route says nothing.
func DefaultTimeouts() providers.Timeouts {
	return providers.Timeouts{
		Connect: 10 * time.Second, FirstToken: 60 * time.Second, Stall: 30 * time.Second, Total: 10 * time.Minute,
	}
}
