package e2e

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
)

var chaosSeeds = flag.String("chaos", "", "seeds of TestChaos, such as 1,2,3; empty: its quick form")

// Invariants 1 to 5: whatever plug is pulled, every accepted job ends once.
// With -chaos the long form is played: see scripts/chaos.sh.
func TestChaos(t *testing.T) {
	t.Parallel()
	if *chaosSeeds == "" {
		for _, p := range quickPlans() {
			t.Run(p.name(), func(t *testing.T) {
				t.Parallel()
				t.Logf("chaos: %s: %s", p.name(), summary(play(t, p)))
			})
		}
		return
	}
	var totals tally
	t.Run("seeds", func(t *testing.T) {
		for word := range strings.SplitSeq(*chaosSeeds, ",") {
			seed, err := strconv.ParseUint(strings.TrimSpace(word), 10, 64)
			if err != nil {
				t.Fatalf("-chaos: %q is not a list of seeds", *chaosSeeds)
			}
			for _, p := range plans(seed) {
				t.Run(fmt.Sprintf("%d/%s", seed, p.name()), func(t *testing.T) {
					t.Parallel()
					m := play(t, p)
					t.Logf("chaos: %s: seed %d: %s", p.name(), p.seed, summary(m))
					totals.add(p, m, t.Failed())
				})
			}
		}
	})
	t.Log("chaos: " + totals.String())
}

// quickPlans is a selection that takes seconds.
func quickPlans() []plan {
	at := func(name string, after, lasts time.Duration, target int, how string) strike {
		return strike{kind: kindNamed(name), after: after, lasts: lasts, target: target, how: how}
	}
	stopped := at("stop-worker", 500*time.Millisecond, 12*time.Second, 1, "")
	stopped.untilElsewhere = true
	return []plan{
		quick(500, at("kill-worker", 500*time.Millisecond, 0, 0, ""), at("redis-flushed", 800*time.Millisecond, 0, 0, "")),
		quick(500, stopped, at("cut-provider", 2*time.Second, 0, 0, "reset"),
			at("kill-api", time.Second, 2*time.Second, 0, "")),
		quick(500, at("postgres-away", 500*time.Millisecond, 3*time.Second, 0, ""),
			at("redis-killed", 5*time.Second, 0, 0, ""), at("cut-postgres", 7*time.Second, 2*time.Second, everyone, "stall")),
	}
}
