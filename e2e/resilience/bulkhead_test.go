//go:build !race

package resilience

import (
	"fmt"
	"testing"
	"time"
)

// halves gives every other job to each of two providers by name.
func halves(all []arrival) []arrival {
	for i := range all {
		all[i].model = []string{"a/m", "b/m"}[i%2]
	}
	return all
}

// hangs has one provider accept calls and not answer, while the other is well.
var hangs = scenario{
	name: "hangs",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		length := 20 * time.Minute
		if short {
			length = 5 * time.Minute
		}
		s := setting{seed: 1, providers: []provider{usual("a"), usual("b")}, arrivals: halves(arrivals(length, time.Second))}
		alone := contest(t, s)
		s.providers[0].incidents = []incident{{from: time.Minute, to: length, mode: hanging}}
		beside := contest(t, s)
		p99 := func(worlds map[string]*world, who contender) time.Duration {
			return quantile(worlds[who.name].answered("b/m"), 0.99)
		}
		more := func(who contender) float64 {
			return p99(beside, who).Seconds()/p99(alone, who).Seconds() - 1
		}
		cell := func(who contender) string {
			return fmt.Sprintf("%.1f s, alone %.1f s (%+.1f %%)",
				p99(beside, who).Seconds(), p99(alone, who).Seconds(), 100*more(who))
		}
		return []row{{
			what:     fmt.Sprintf("one provider hangs for %s: p99 of jobs on the other", length-time.Minute),
			penstock: cell(penstock), plain: cell(plain), obeying: cell(obeying),
			goal: "within 5 % of alone", met: more(penstock) <= 0.05,
		}}
	},
}

// degrades has one provider become ten times slower and fail one call in two. A
// job on the other is harmed when it takes longer than nearly all do when all is
// well.
var degrades = scenario{
	name: "degrades",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		length := 20 * time.Minute
		if short {
			length = 6 * time.Minute
		}
		s := setting{seed: 1, providers: []provider{usual("a"), usual("b")}, arrivals: halves(arrivals(length, time.Second/2))}
		calm := quantile(play(t, s, plain).answered("b/m"), 0.999)
		s.providers[0].incidents = []incident{{from: time.Minute, to: length, mode: degraded}}
		worlds := contest(t, s)
		harmed := func(who contender) int {
			return count(worlds[who.name].jobs, func(j job) bool { return j.model == "b/m" && (!j.ok || j.took() > calm) })
		}
		jobs := len(s.arrivals) / 2
		cell := func(who contender) string { return fmt.Sprintf("%s of %s", grouped(harmed(who)), grouped(jobs)) }
		fewer := 1 - ratio(harmed(penstock), harmed(plain))
		return []row{{
			what:     "one provider degrades: jobs on the other that take longer than 99.9 % do when all is well; the loops have one pool for both",
			penstock: fmt.Sprintf("%s (%.1f %% fewer)", cell(penstock), 100*fewer), plain: cell(plain), obeying: cell(obeying),
			goal: "≥ 78 % fewer than in one pool", met: fewer >= 0.78,
		}}
	},
}
