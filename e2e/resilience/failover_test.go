//go:build !race

package resilience

import (
	"fmt"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// failover has the first of two providers hang, each time at another place of the
// trace.
var failover = scenario{
	name: "failover",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		outages := 20
		if short {
			outages = 5
		}
		active := failovers(t, outages, penstock, jobs.ActiveActive)
		passive := failovers(t, outages, penstock, jobs.ActivePassive)
		loops := failovers(t, outages, plain, "")
		lower := 1 - active.gap()/passive.gap()
		cell := func(f failedOver) string { return fmt.Sprintf("%.1f s, %s", f.gap(), percent(f.late, f.jobs)) }
		return []row{{
			what: fmt.Sprintf("one of two providers hangs, active-active and active-passive: from the next job until it or a later one has its first token, "+
				"median of %d; jobs of the first minute that wait for longer than %s", outages, late),
			penstock: fmt.Sprintf("%s and %s (%.1f %% lower)", cell(active), cell(passive), 100*lower),
			plain:    cell(loops), obeying: cell(failovers(t, outages, obeying, "")),
			goal: "≥ 90 % lower", met: lower >= 0.9,
		}}
	},
}

// late is how long nobody waits for a first token when all is well.
const late = 5 * time.Second

// failedOver is what some outages came to.
type failedOver struct {
	// gaps are the seconds in which nobody was served.
	gaps []float64
	// jobs came in the first minute, and late of them had their first token late.
	jobs, late int
}

func (f failedOver) gap() float64 { return median(f.gaps) }

func failovers(t *testing.T, outages int, who contender, mode jobs.Mode) (all failedOver) {
	t.Helper()
	const from, minute = 10 * time.Second, time.Minute
	for n := range outages {
		a := usual("a")
		a.incidents = []incident{{from: from, to: from + 2*minute, mode: hanging}}
		w := play(t, setting{
			seed: uint64(n + 1), mode: mode, until: from + minute + 30*time.Second, providers: []provider{a, usual("b")},
			arrivals: arrivalsFrom(time.Duration(n)*minute, from+minute, time.Second),
		}, who)
		tokens := w.firstTokens(from)
		came := w.jobs[len(w.jobs)-len(tokens):]
		served := from + w.deadline
		for i, j := range came {
			served = min(served, j.at+tokens[i])
		}
		all.gaps = append(all.gaps, (served - came[0].at).Seconds())
		all.jobs += len(came)
		all.late += count(tokens, func(d time.Duration) bool { return d > late })
	}
	return all
}
