package run

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/penstock-dev/penstock/jobs"
)

// TestHedgesStayWithinTheirBudget: of any thousand calls that a process makes in a
// row, hedges among them, whatever their routes and whenever hedges are wanted, and
// of any number from its first on.
func TestHedgesStayWithinTheirBudget(t *testing.T) {
	t.Parallel()
	for name, wanted := range map[string]func(n int, r *rand.Rand) bool{
		"always":    func(int, *rand.Rand) bool { return true },
		"at random": func(_ int, r *rand.Rand) bool { return r.IntN(20) == 0 },
		"in bursts": func(n int, _ *rand.Rand) bool { return n/500%2 == 1 },
	} {
		for routes := 1; routes <= 3; routes++ {
			t.Run(fmt.Sprintf("%s, %d routes", name, routes), func(t *testing.T) {
				t.Parallel()
				b, r := newBudgets(), rand.New(rand.NewPCG(1, uint64(routes)))
				var made []bool // the calls in order: whether each was a hedge
				for n := range 20_000 {
					// One route after another, so that each can have saved up.
					route := jobs.Route{Name: fmt.Sprint(n / 700 % routes), HedgeBudget: 0.05}
					b.count(route)
					made = append(made, false)
					for range r.IntN(3) { // several may be late at once
						left := b.left(route)
						if hedge := wanted(n, r) && b.take(route); hedge {
							if !left {
								t.Fatal("a hedge was taken of which none was left")
							}
							made = append(made, true)
						}
					}
				}
				checkWindows(t, made)
			})
		}
	}
}

// checkWindows checks that hedges are 5 % of any thousand calls at most, and
// that most of what was allowed was made.
func checkWindows(t *testing.T, made []bool) {
	t.Helper()
	total, sum := 0, 0
	for i, hedge := range made {
		if hedge {
			total, sum = total+1, sum+1
		}
		if old := i - hedgeWindow; old >= 0 && made[old] {
			sum--
		}
		if most := min(i+1, hedgeWindow) / 20; sum > most {
			t.Fatalf("%d hedges in the calls before the %dth, want at most %d", sum, i+1, most)
		}
	}
	if total < 400 {
		t.Errorf("%d hedges of 1,000 that the budget has, want more used", total)
	}
}
