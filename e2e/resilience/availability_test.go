//go:build !race

package resilience

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// availability is 20 months in which providers go down by themselves, and one in
// which all go down together.
var availability = scenario{
	name: "availability",
	run: func(t *testing.T, short bool) []row {
		t.Helper()
		months, length := 20, 30*day
		if short {
			months, length = 1, 5*day
		}
		var rows []row
		for n := 1; n <= len(rates); n++ {
			rows = append(rows, available(t, n, months, length))
		}
		return rows
	},
}

// Of the jobs that do not come while there is an incident, shortly before one or
// soon after, one in so many is played. It counts as so many.
const calm = 24

// joint is when all providers of the first month are down.
var joint = incident{from: 4*day + 10*time.Hour, to: 4*day + 13*time.Hour}

func month(seed uint64, count int, length time.Duration) setting {
	s := setting{seed: seed, slowly: true}
	var all []incident
	for i := range count {
		p := usual(string(rune('a' + i)))
		p.errors = 0.01
		p.incidents = rates[i].incidents(rand.New(rand.NewPCG(seed, uint64(i))), length)
		if seed == 1 {
			p.incidents = append(p.incidents, joint)
		}
		s.providers, all = append(s.providers, p), append(all, p.incidents...)
	}
	s.trouble = widened(all)
	s.arrivals = thinned(arrivals(length, 10*time.Minute), s.trouble)
	return s
}

// widened returns when there is an incident, was one less than 20 minutes ago, or
// will be one in less than ten.
func widened(all []incident) []span {
	wide := make([]incident, len(all))
	for i, inc := range all {
		wide[i] = incident{from: max(0, inc.from-10*time.Minute), to: inc.to + 20*time.Minute}
	}
	return union(wide)
}

// thinned leaves out most of the jobs that come while all is well.
func thinned(all []arrival, trouble []span) []arrival {
	var kept []arrival
	quiet := 0
	for _, a := range all {
		if !within(trouble, a.at) {
			if quiet++; quiet%calm != 0 {
				continue
			}
			a.weight = calm
		}
		kept = append(kept, a)
	}
	return kept
}

// tally is what became of the jobs of months.
type tally struct {
	jobs, failed int
	// hopeless are the jobs all of whose hour every provider was down.
	hopeless int
	// missed are the other jobs that failed, and chance is for how long at most a
	// provider was there in the hour of one of them.
	missed int
	chance time.Duration
}

func (s *tally) add(w *world) {
	down := union(w.upstreams[0].incidents)
	for _, u := range w.upstreams[1:] {
		down = both(down, union(u.incidents))
	}
	for _, j := range w.jobs {
		weight := max(1, j.weight)
		s.jobs += weight
		chance := left(down, span{j.at, j.at + w.deadline})
		if chance == 0 {
			s.hopeless += weight
		}
		if j.failed(w.deadline) {
			s.failed += weight
			if chance > 0 {
				s.missed += weight
				s.chance = max(s.chance, chance)
			}
		}
	}
}

// available plays months with so many providers.
func available(t *testing.T, count, months int, length time.Duration) row {
	t.Helper()
	played := make([]map[string]*world, months)
	each(t, months, seedName, func(t *testing.T, i int) {
		t.Helper()
		played[i] = contest(t, month(uint64(i+1), count, length))
	})
	var tallies [3]tally
	for _, worlds := range played {
		for i, who := range contenders {
			tallies[i].add(worlds[who.name])
		}
	}
	most := float64(tallies[0].hopeless) + 1e-5*float64(tallies[0].jobs)
	owes := ""
	if count == 1 {
		owes = "a job whose hour ends before anybody has asked whether its one provider is back"
	}
	return row{
		owes: owes,
		what: fmt.Sprintf("%d days, %d times, %s, %s jobs: failed within their hour; availability, beside 99.5 %% and 99.95 %%",
			length/day, months, []string{"one provider", "two providers", "three providers"}[count-1], grouped(tallies[0].jobs)),
		penstock: tallies[0].String(), plain: tallies[1].String(), obeying: tallies[2].String(),
		goal: fmt.Sprintf("≤ %.1f: the %d whose whole hour saw all down, and 10⁻⁵", most, tallies[0].hopeless),
		met:  float64(tallies[0].failed) <= most,
	}
}

func (s *tally) String() string {
	available := 1 - ratio(s.failed, s.jobs)
	mark := "below both"
	switch {
	case available >= 0.9995:
		mark = "above both"
	case available >= 0.995:
		mark = "between them"
	}
	text := fmt.Sprintf("%s; %.3f %%, %s", grouped(s.failed), 100*available, mark)
	if s.missed > 0 {
		text += fmt.Sprintf("; %s had a provider, for %s at most", grouped(s.missed), s.chance.Round(time.Second))
	}
	return text
}
