// Package storagetest says what a store is: every implementation of
// [jobs.Store] passes [Run] and [RunInterrupted].
//
// The names of subtests carry the number of the invariant in the design that
// they guard. Times are arguments throughout: nothing waits for a clock.
package storagetest

import (
	"testing"

	"github.com/penstock-dev/penstock/jobs"
)

// rule is one thing that every store does.
type rule struct {
	name  string
	check func(f *fixture)
}

// Run checks every rule, each in parallel on a fresh store. open returns an
// empty store and closes it when its test ends; closing a store twice is
// harmless.
func Run(t *testing.T, open func(t *testing.T) jobs.Store) {
	t.Helper()
	for _, theme := range []struct {
		name  string
		rules []rule
	}{
		{"submit", submitRules()},
		{"attach", attachRules()},
		{"race", append(raceRules(), upkeepRaceRules()...)},
		{"cache", cacheRules()},
		{"stale", staleRules()},
		{"unavailable", unavailableRules()},
		{"use case", useCaseRules()},
		{"ephemeral", ephemeralRules()},
		{"retain", retainRules()},
		{"idempotency", idempotencyRules()},
		{"dispatch", dispatchRules()},
		{"prospect", prospectRules()},
		{"claim", claimRules()},
		{"disclaim", disclaimRules()},
		{"calls", callRules()},
		{"finish", finishRules()},
		{"reschedule", rescheduleRules()},
		{"worker", workerRules()},
		{"control", controlRules()},
		{"cancel", cancelRules()},
		{"delete", deleteRules()},
		{"read", readRules()},
	} {
		t.Run(theme.name, func(t *testing.T) {
			t.Parallel()
			runRules(t, theme.rules, open)
		})
	}
}

func runRules(t *testing.T, rules []rule, open func(t *testing.T) jobs.Store) {
	t.Helper()
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			r.check(newFixture(t, open(t)))
		})
	}
}
