//go:build !race

package resilience

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// failover has the first of two providers hang, from one moment to the next.
var failover = scenario{
	name: "failover",
	run: func(t *testing.T, _ bool) []row {
		t.Helper()
		const from, length, times = 2 * time.Minute, 5 * time.Minute, 5
		measure := func(t *testing.T, who contender, mode jobs.Mode) (took time.Duration) {
			t.Helper()
			for seed := range uint64(times) {
				a := usual("a")
				a.incidents = []incident{{from: from, to: length, mode: hanging}}
				took += play(t, setting{
					seed: seed, providers: []provider{a, usual("b")}, arrivals: arrivals(length, time.Second), mode: mode,
				}, who).firstAnswer(from)
			}
			return took / times
		}
		active, passive := measure(t, penstock, jobs.ActiveActive), measure(t, penstock, jobs.ActivePassive)
		lower := 1 - active.Seconds()/passive.Seconds()
		loops := fmt.Sprintf("%.1f s", measure(t, plain, "").Seconds())
		return []row{{
			what:     "one of two providers hangs: from the next job until it or a later one has its first token, mean of " + fmt.Sprint(times) + ", active-active and active-passive",
			penstock: fmt.Sprintf("%.1f s and %.1f s (%.1f %% lower)", active.Seconds(), passive.Seconds(), 100*lower),
			plain:    loops, obeying: loops,
			goal: "≥ 90 % lower", met: lower >= 0.9,
			owes: "88 to 96 % from run to run: what is on its way to a provider as it begins to hang waits for its timeout",
		}}
	},
}

// firstAnswer is how long the first job to come after a time, or one that came
// later, took to have a first token.
func (w *world) firstAnswer(from time.Duration) time.Duration {
	first := from + w.deadline
	came := w.jobs[slices.IndexFunc(w.jobs, func(j job) bool { return j.at >= from })].at
	for _, c := range w.calls {
		if w.jobs[c.question].at >= from && c.firstToken > 0 {
			first = min(first, c.firstToken)
		}
	}
	return first - came
}
