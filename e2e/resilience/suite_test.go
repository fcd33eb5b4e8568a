//go:build !race

package resilience

import (
	"os"
	"runtime/debug"
	"strconv"
	"testing"
)

// scenario is something that happens to providers, and what is to come of it.
type scenario struct {
	name string
	// run plays it and returns its rows of the table. short asks for less of it.
	run func(t *testing.T, short bool) []row
}

// scenarios are in the order of the table.
var scenarios = []scenario{
	availability,
	outage,
	totalOutage,
	requestQuota,
	tokenQuota,
	hints,
	probes,
	hedging,
	failover,
	hangs,
	degrades,
	firstTries,
}

// TestSimResilience plays all scenarios, and fails for each goal that is not met
// and not owed. It writes the table into the file that PENSTOCK_SIM_TABLE names,
// if it is set.
func TestSimResilience(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // there is little to keep
	rows := make([][]row, len(scenarios))
	each(t, len(scenarios), func(i int) string { return scenarios[i].name }, func(t *testing.T, i int) {
		t.Helper()
		rows[i] = scenarios[i].run(t, testing.Short())
		for _, r := range rows[i] {
			if !r.met && r.owes == "" {
				t.Errorf("%s: got %s, want %s", r.what, r.penstock, r.goal)
			}
		}
	})
	var all []row
	for _, some := range rows {
		all = append(all, some...)
	}
	text := table(all)
	t.Logf("\n%s", text)
	if path := os.Getenv("PENSTOCK_SIM_TABLE"); path != "" {
		replaceTable(t, path, text)
	}
}

// each does something so many times, as many at once as there are processors.
func each(t *testing.T, n int, name func(i int) string, do func(t *testing.T, i int)) {
	t.Helper()
	t.Run("each", func(t *testing.T) {
		for i := range n {
			t.Run(name(i), func(t *testing.T) {
				t.Parallel()
				do(t, i)
			})
		}
	})
}

// contest lets all contenders meet what a setting brings, and returns their
// worlds by name.
func contest(t *testing.T, s setting) map[string]*world {
	t.Helper()
	worlds := make(map[string]*world)
	for _, who := range contenders {
		worlds[who.name] = play(t, s, who)
	}
	return worlds
}

func seedName(i int) string { return "seed " + strconv.Itoa(i+1) }
