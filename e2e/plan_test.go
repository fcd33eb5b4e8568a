package e2e

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"
)

// plan is one round of chaos: what is done to one fleet, and when. It hangs on
// its seed and its faults alone.
type plan struct {
	seed   uint64
	faults []string
	// jobs are in flight when the first fault strikes.
	jobs int
	// batches of so many lines are submitted as faults strike.
	batches, lines int
	concurrency    int
	hurry          float64 // of the clients: see traffic
	provider       string
	strikes        []strike
	// patience bounds the wait for the last job after the last fault.
	patience time.Duration
}

// strike is one fault of a plan.
type strike struct {
	kind kind
	// after is when it strikes, counted from when all jobs are in flight.
	after time.Duration
	lasts time.Duration
	// untilElsewhere says that it lasts until others run what the process ran,
	// lasts at most: so that it comes back with answers just then.
	untilElsewhere bool
	// target is the number of the process it strikes; everyone is all of them.
	target int
	// how is the manner of a cut: reset, cut or stall.
	how string
	// restart says that a killed process is started again.
	restart bool
}

const everyone = -1

// name is what the round is called.
func (p plan) name() string { return strings.Join(p.faults, "+") }

// String prints the schedule.
func (p plan) String() string {
	s := make([]string, len(p.strikes))
	for i, k := range p.strikes {
		s[i] = k.String()
	}
	return fmt.Sprintf("seed %d, %d jobs in flight, %d batches of %d: %s", p.seed, p.jobs, p.batches, p.lines, strings.Join(s, "; "))
}

func (s strike) String() string {
	text := fmt.Sprintf("%s at +%s", s.kind.name, s.after.Round(time.Millisecond))
	if s.lasts > 0 {
		text += " for " + s.lasts.String()
	}
	if s.untilElsewhere {
		text += " until what it ran runs elsewhere"
	}
	if s.kind.on != "" && s.target != everyone {
		text += fmt.Sprintf(" on %s-%d", s.kind.on, s.target)
	}
	if s.how != "" {
		text += " (" + s.how + ")"
	}
	if s.kind.kills && !s.restart {
		text += ", not started again"
	}
	return text
}

// newPlan draws the schedule of a round.
func newPlan(seed uint64, faults ...string) plan {
	p := plan{
		seed: seed, faults: faults, jobs: 2000, batches: 4, lines: 200, concurrency: 40, hurry: 1, patience: 150 * time.Second,
		provider: `{"latency": "600ms", "sigma": 0.8, "per_token": "5ms", "retry_after": "1",
			"errors": {"rate_limited": 0.02, "server_error": 0.02, "connection": 0.01, "truncated": 0.01, "overloaded": 0.01}}`,
	}
	h := fnv.New64a()
	h.Write([]byte(p.name()))
	draws := rand.New(rand.NewPCG(seed, h.Sum64()))
	target := draws.IntN(2)
	for _, name := range faults {
		s := strike{
			kind: kindNamed(name), after: time.Duration(draws.IntN(5000)) * time.Millisecond, target: target,
			restart: draws.IntN(2) == 0,
		}
		s.kind.draw(&s, draws)
		target = 1 - target // two faults of a pair strike two processes
		p.strikes = append(p.strikes, s)
	}
	return p
}

// handsOf is how many seeds in a row share all pairs out between them.
const handsOf = 5

// plans returns the rounds of a seed: each fault alone, and a fifth of all
// pairs. Seeds 1 to 5 together try every pair, and so on.
func plans(seed uint64) []plan {
	var rounds []plan
	var pairs [][2]string
	for i, a := range kinds {
		rounds = append(rounds, newPlan(seed, a.name))
		for _, b := range kinds[i+1:] {
			pairs = append(pairs, [2]string{a.name, b.name})
		}
	}
	deck, hand := (seed+handsOf-1)/handsOf, int((seed+handsOf-1)%handsOf)
	draws := rand.New(rand.NewPCG(deck, 2))
	draws.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	for i := hand; i < len(pairs); i += handsOf {
		rounds = append(rounds, newPlan(seed, pairs[i][0], pairs[i][1]))
	}
	return rounds
}

// quick is a short form of the same, for every day: less of everything.
func quick(jobs int, strikes ...strike) plan {
	p := plan{
		seed: 1, jobs: jobs, batches: 4, lines: 120, concurrency: 40, hurry: 0.2, patience: time.Minute, strikes: strikes,
		provider: `{"latency": "250ms", "sigma": 0.3, "per_token": "5ms", "retry_after": "1",
			"errors": {"rate_limited": 0.02, "server_error": 0.02}}`,
	}
	for _, s := range strikes {
		p.faults = append(p.faults, s.kind.name)
	}
	return p
}
