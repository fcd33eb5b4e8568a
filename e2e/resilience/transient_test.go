//go:build !race

package resilience

import (
	"fmt"
	"testing"
	"time"
)

// firstTries has two providers that fail one call in five.
var firstTries = scenario{
	name: "first tries",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		length := 90 * time.Minute
		if short {
			length = 5 * time.Minute
		}
		a, b := usual("a"), usual("b")
		a.errors, b.errors = 0.2, 0.2
		worlds := contest(t, setting{seed: 1, providers: []provider{a, b}, arrivals: arrivals(length, time.Second), attempts: 8})
		// recovered counts the jobs whose first call failed, and those of them that
		// have an answer all the same.
		recovered := func(who contender) (failed, recovered int) {
			w := worlds[who.name]
			seen := make(map[int]bool, len(w.jobs))
			for _, c := range w.calls {
				if seen[c.question] {
					continue
				}
				seen[c.question] = true
				if c.outcome != "success" {
					failed++
					if !w.jobs[c.question].failed(w.deadline) {
						recovered++
					}
				}
			}
			return failed, recovered
		}
		cell := func(who contender) string {
			failed, recovered := recovered(who)
			return fmt.Sprintf("%.2f %% of %s", 100*ratio(recovered, failed), grouped(failed))
		}
		failed, saved := recovered(penstock)
		return []row{{
			what:     "20 % transient errors, two providers: first tries that failed, and were recovered",
			penstock: cell(penstock), plain: cell(plain), obeying: cell(obeying),
			goal: "≥ 99.9 %", met: ratio(saved, failed) >= 0.999,
		}}
	},
}
