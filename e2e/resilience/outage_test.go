//go:build !race

package resilience

import (
	"fmt"
	"testing"
	"time"
)

// outage is the first of two providers away for as long as its incidents usually
// are, while jobs come as in the trace.
var outage = scenario{
	name: "outage",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		from, to := 2*time.Minute, 86*time.Minute
		if short {
			to = 17 * time.Minute
		}
		a, b := usual("a"), usual("b")
		a.incidents = []incident{{from: from, to: to, mode: failing}}
		worlds := contest(t, setting{seed: 1, providers: []provider{a, b}, arrivals: arrivals(to, 2*time.Second)})
		into := func(who contender) int { return count(worlds[who.name].calls, func(c *call) bool { return c.down }) }
		got, beside := into(penstock), into(plain)
		return []row{{
			what: fmt.Sprintf("one of two providers away for %s, %s jobs: calls sent into it",
				to-from, grouped(len(worlds[penstock.name].jobs))),
			penstock: fmt.Sprintf("%s (%s of the plain loop's)", grouped(got), percent(got, beside)),
			plain:    grouped(beside), obeying: grouped(into(obeying)),
			goal: "≤ 5 % of the plain loop's", met: ratio(got, beside) <= 0.05,
		}}
	},
}

// totalOutage is all providers away, and back well before any deadline.
var totalOutage = scenario{
	name: "total outage",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		from, to := 2*time.Minute, 32*time.Minute
		if short {
			to = 17 * time.Minute
		}
		a, b := usual("a"), usual("b")
		a.incidents = []incident{{from: from, to: to, mode: failing}}
		b.incidents = []incident{{from: from, to: to, mode: failing}}
		all := arrivals(to, 2*time.Second)
		worlds := contest(t, setting{seed: 1, providers: []provider{a, b}, arrivals: all})
		// Of the jobs that came while all were away: calls for one, and failures.
		perJob := func(who contender) (calls float64, failed, jobs int) {
			w := worlds[who.name]
			caught := func(j job) bool { return j.at >= from }
			jobs = count(w.jobs, caught)
			made := count(w.calls, func(c *call) bool { return caught(w.jobs[c.question]) })
			failed = count(w.jobs, func(j job) bool { return caught(j) && j.failed(w.deadline) })
			return ratio(made, jobs), failed, jobs
		}
		cell := func(who contender) string {
			calls, failed, jobs := perJob(who)
			return fmt.Sprintf("%.2f, %s failed", calls, percent(failed, jobs))
		}
		got, _, jobs := perJob(penstock)
		return []row{{
			what:     fmt.Sprintf("all providers away for %s, %s jobs: calls for each, its answer's included", to-from, grouped(jobs)),
			penstock: cell(penstock), plain: cell(plain), obeying: cell(obeying),
			goal: "≤ 1.1", met: got <= 1.1,
		}}
	},
}
