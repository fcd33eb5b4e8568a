package jobs

import (
	"errors"

	"github.com/penstock-dev/penstock/providers"
)

// WithChecks refuses submissions that no target of their route can carry, and
// names the field. checks are by provider: one without a check carries
// everything. If some target can, the others are passed over in the run.
func WithChecks(checks map[string]providers.Check) ServiceOption {
	return func(s *Service) { s.SetChecks(checks) }
}

// SetChecks puts others in the place of those of [WithChecks].
func (s *Service) SetChecks(checks map[string]providers.Check) { s.checks.Store(&checks) }

// carried returns nil if some target of route can carry r, else what keeps the
// first from it.
func (s *Service) carried(route Route, r Request) error {
	var first *providers.UnsupportedError
	var by Target
	checks := s.checks.Load()
	if checks == nil {
		return nil
	}
	for _, target := range route.Targets {
		check := (*checks)[target.Provider]
		if check == nil {
			return nil
		}
		unsupported, ok := errors.AsType[*providers.UnsupportedError](check(r.Endpoint, r.Body))
		if !ok {
			return nil
		}
		if first == nil {
			first, by = unsupported, target
		}
	}
	switch {
	case first == nil:
		return nil
	case first.Pointer == "":
		return Invalid("/endpoint", "no target of the route has it; of %s: %s", by, first.Reason)
	default:
		return Invalid("/request"+first.Pointer, "no target of the route can carry it; to %s it %s", by, first.Reason)
	}
}
