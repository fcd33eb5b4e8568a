package app

import (
	"maps"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/jobs"
)

// validateTargets refuses what is not a model of a configured provider, or is named
// twice.
func validateTargets(key string, targets []string, providers map[string]ProviderConfig) error {
	for i, t := range targets {
		provider, model, _ := strings.Cut(t, "/")
		if slices.Contains(targets[:i], t) {
			return wrong(key, "expected each target once, got %q twice", t)
		}
		if _, ok := providers[provider]; !ok || model == "" {
			return wrong(key, "expected provider/model with one of the providers %s, got %q",
				strings.Join(slices.Sorted(maps.Keys(providers)), ", "), t)
		}
	}
	return nil
}

// validateUnavailable checks what the route does when none of its targets can be
// called.
func (r RouteConfig) validateUnavailable(key string, providers map[string]ProviderConfig) error {
	if _, ok := jobs.ParseOnUnavailable(r.OnUnavailable); !ok && r.OnUnavailable != "" {
		return wrong(key+".on_unavailable", "expected wait, fail or degrade, got %q", r.OnUnavailable)
	}
	for _, t := range r.Degraded {
		if slices.Contains(r.Targets, t) {
			return wrong(key+".degraded", "expected other targets than those in targets, got %q", t)
		}
	}
	return validateTargets(key+".degraded", r.Degraded, providers)
}

func targetsOf(names []string) (targets []jobs.Target) {
	for _, t := range names {
		provider, model, _ := strings.Cut(t, "/")
		targets = append(targets, jobs.Target{Provider: provider, Model: model})
	}
	return targets
}
