package dispatch

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// choose returns the target that a candidate is to be released to, and whether it
// lets it through now. One that has failed over begins with the target it went to.
func (d *Dispatcher) choose(w *window, r route, c jobs.Candidate) (jobs.Target, bool) {
	if r.degraded {
		c.Target = 0 // the index is of other targets
	}
	if r.mode == jobs.ActiveActive && (c.Target <= 0 || c.Target >= len(r.targets)) {
		return d.weigh(w, r)
	}
	return inOrder(w, r, c, time.Now())
}

// inOrder returns the first target that lets the candidate through, as far as those
// before it are not worth waiting for; else the one that is. Nobody waits for what
// an operator keeps.
func inOrder(w *window, r route, c jobs.Candidate, now time.Time) (jobs.Target, bool) {
	first := max(0, c.Target)
	waited := hasWaited(c, r.patience, now)
	for i := range r.targets {
		t := r.targets[(first+i)%len(r.targets)]
		if w.through(t, r.useCase) > 0 {
			return t, true
		}
		if shut, is := w.closed[t]; !waited && (!is || !shut.byHuman() && shut.until.Sub(now) <= r.patience) {
			return t, false
		}
	}
	return r.target(c.Target), false
}

// maxSkew is how far clocks may differ: what was made later than that was not made
// then.
const maxSkew = time.Minute

// hasWaited reports whether it is so long since the candidate was submitted, as its
// id tells, which is a UUIDv7. Of one that does not tell, it is.
func hasWaited(c jobs.Candidate, patience time.Duration, now time.Time) bool {
	age := now.Sub(time.Unix(c.Execution.Time().UnixTime()))
	return age >= patience || age < -maxSkew
}

// weigh returns one of the targets that let something through, by chance and by
// weight.
func (d *Dispatcher) weigh(w *window, r route) (jobs.Target, bool) {
	weights, sum := make([]float64, len(r.targets)), 0.0
	for i, t := range r.targets {
		if w.through(t, r.useCase) > 0 {
			weights[i] = d.weight(w, r, t)
			sum += weights[i]
		}
	}
	at := rand.Float64() * sum //nolint:gosec // spreads load, guards nothing
	for i, t := range r.targets {
		if weights[i] > 0 && at < weights[i] {
			return t, true
		}
		at -= weights[i]
	}
	return r.targets[0], false
}

// weight is how good a target is: the share of its calls that were good, the share
// of its places that are free, and as the route weighs it how quick and how cheap it
// is. It is never zero: a target of which nothing is known is tried.
func (d *Dispatcher) weight(w *window, r route, t jobs.Target) float64 {
	const least = 0.001
	pool := w.pool(t)
	weight := float64(pool.free) / float64(pool.size)
	if health, known := w.health[t]; known {
		weight *= health
	}
	if d.cfg.Weight != nil {
		weight *= math.Pow(d.cfg.Weight(t), r.weigh.Latency)
	}
	return max(least, weight*math.Pow(d.cheapness(r, t), r.weigh.Price))
}

// cheapness is how many times a target's price goes into the mean of those that are
// known of the route; 1 where its own is not. What costs nothing is as cheap as may be.
func (d *Dispatcher) cheapness(r route, t jobs.Target) float64 {
	const most = 1000
	own, known := d.cfg.Catalog.Price(t)
	if !known {
		return 1
	}
	sum, n := 0.0, 0.0
	for _, other := range r.targets {
		if price, known := d.cfg.Catalog.Price(other); known {
			sum, n = sum+price.Mean(), n+1
		}
	}
	if sum == 0 {
		return 1
	}
	return min(most, sum/n/own.Mean())
}
