package jobs

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// LeastRetention is the shortest there is.
const LeastRetention = time.Hour

// Retention says how long jobs are kept, counted from when they were made, with
// their requests, answers, calls and events. A live job is kept all the same.
// The zero value keeps for ever.
type Retention struct {
	// Default is for all tenants; zero: for ever.
	Default time.Duration `yaml:"default"`
	// Tenants are kept shorter than that.
	Tenants map[string]time.Duration `yaml:"tenants"`
}

// None reports whether all is kept for ever.
func (r Retention) None() bool { return r.Default == 0 && len(r.Tenants) == 0 }

// Validate returns an error that names the field at fault.
func (r Retention) Validate() error {
	if r.Default != 0 && r.Default < LeastRetention {
		return fmt.Errorf("default: expected at least %s, such as 720h, got %s", LeastRetention, r.Default)
	}
	for _, tenant := range slices.Sorted(maps.Keys(r.Tenants)) {
		switch keep := r.Tenants[tenant]; {
		case keep < LeastRetention:
			return fmt.Errorf("tenants: %s: expected at least %s, such as 24h, got %s", tenant, LeastRetention, keep)
		case r.Default != 0 && keep > r.Default:
			return fmt.Errorf("tenants: %s: expected at most the default, %s, got %s", tenant, r.Default, keep)
		}
	}
	return nil
}
