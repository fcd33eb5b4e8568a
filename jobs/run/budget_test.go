package run

import (
	"math/rand/v2"
	"testing"

	"github.com/penstock-dev/penstock/jobs"
)

// TestHedgesStayWithinTheirBudget: in any thousand calls, whenever they are asked
// for, and none is spent before there were calls to earn it.
func TestHedgesStayWithinTheirBudget(t *testing.T) {
	t.Parallel()
	for name, wanted := range map[string]func(n int, r *rand.Rand) bool{
		"always":    func(int, *rand.Rand) bool { return true },
		"at random": func(_ int, r *rand.Rand) bool { return r.IntN(20) == 0 },
		"in bursts": func(n int, _ *rand.Rand) bool { return n/500%2 == 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, route := newBudgets(), jobs.Route{Name: "r", HedgeBudget: 0.05}
			r := rand.New(rand.NewPCG(1, 2))
			made, total := make([]int, 20_000), 0
			for n := range made {
				b.count(route)
				if wanted(n, r) && b.take(route) {
					made[n] = 1
					total++
				}
				sum := 0
				for _, m := range made[max(0, n-hedgeWindow+1) : n+1] {
					sum += m
				}
				if most := min(n+1, hedgeWindow) / 20; sum > most {
					t.Fatalf("after %d calls %d hedges in the last thousand, want at most %d", n+1, sum, most)
				}
			}
			if total < 400 {
				t.Errorf("%d hedges of 1,000 that the budget has, want more used", total)
			}
		})
	}
}
