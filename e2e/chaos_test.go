package e2e

import (
	"flag"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/e2e/history"
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
	return []plan{
		quick(500, at("kill-worker", 500*time.Millisecond, 0, 0, ""), at("redis-flushed", 800*time.Millisecond, 0, 0, "")),
		quick(500, at("stop-worker", 500*time.Millisecond, 10*time.Second, 1, ""),
			at("cut-provider", 2*time.Second, 0, 0, "reset"), at("kill-api", time.Second, 2*time.Second, 0, "")),
		quick(500, at("postgres-away", 500*time.Millisecond, 3*time.Second, 0, ""),
			at("redis-killed", 5*time.Second, 0, 0, ""), at("cut-postgres", 7*time.Second, 2*time.Second, everyone, "stall")),
	}
}

// tally adds up what rounds measured.
type tally struct {
	mu               sync.Mutex
	rounds, failed   int
	sum              history.Measures
	alone            []time.Duration // elsewhere, of the rounds with kill-worker alone
	healed, accepted []time.Duration
}

func (y *tally) add(p plan, m history.Measures, failed bool) {
	y.mu.Lock()
	defer y.mu.Unlock()
	y.rounds++
	if failed {
		y.failed++
	}
	y.sum.Jobs += m.Jobs
	y.sum.ProviderCalls += m.ProviderCalls
	y.sum.InFlight += m.InFlight
	y.sum.Repeated += m.Repeated
	y.sum.Refused += m.Refused
	y.sum.Unanswered += m.Unanswered
	if p.name() == "kill-worker" {
		y.alone = append(y.alone, history.Max(m.Elsewhere))
	}
	y.healed = append(y.healed, m.Healed...)
	y.accepted = append(y.accepted, m.Accepted...)
}

// String says it in a few lines.
func (y *tally) String() string {
	ms := func(d time.Duration) string { return d.Round(10 * time.Millisecond).String() }
	return fmt.Sprintf(`%d rounds, %d broke an invariant
chaos: %d jobs, %d provider calls, %d × 503, %d unanswered
chaos: %d calls in flight on workers that fell silent, %d of them repeated
chaos: a killed worker's last job ran elsewhere after %s (median of %d rounds), %s at most
chaos: accepting again after the store's return: median %s, at most %s of %d
chaos: jobs overdue at its return ended after: median %s, at most %s of %d`,
		y.rounds, y.failed, y.sum.Jobs, y.sum.ProviderCalls, y.sum.Refused, y.sum.Unanswered,
		y.sum.InFlight, y.sum.Repeated,
		ms(history.Median(y.alone)), len(y.alone), ms(history.Max(y.alone)),
		ms(history.Median(y.accepted)), ms(history.Max(y.accepted)), len(y.accepted),
		ms(history.Median(y.healed)), ms(history.Max(y.healed)), len(y.healed))
}
