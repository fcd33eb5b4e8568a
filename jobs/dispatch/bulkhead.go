package dispatch

import (
	"math"

	"github.com/penstock-dev/penstock/jobs"
)

// bulkhead is what is remembered between passes of a use case in a pool.
type bulkhead struct {
	rings map[jobs.Priority]*ring
	// sinceLow counts the releases since the last low one that were made while
	// low ones were ready.
	sinceLow int
	// served is what it was given so far, in tokens for each part of the pool that
	// is its share (start-time fair queueing: Goyal, Vin and Cheng, 1997). One that
	// had nothing to do has not saved up for it.
	served float64
	busy   bool
}

func newBulkhead() *bulkhead {
	b := &bulkhead{rings: make(map[jobs.Priority]*ring)}
	for _, priority := range jobs.Priorities() {
		b.rings[priority] = &ring{deficit: make(map[string]int64)}
	}
	return b
}

// of returns what is remembered of a use case.
func (p *pool) of(useCase string) *bulkhead {
	b, ok := p.cases[useCase]
	if !ok {
		b = newBulkhead()
		p.cases[useCase] = b
	}
	return b
}

// known returns the use case that a name stands for: one that is not configured, or
// no more, is the default.
func (w *window) known(useCase string) string {
	if _, ok := w.cases[useCase]; ok {
		return useCase
	}
	return jobs.DefaultUseCase
}

// allowed returns how many more places of the pool the use case may have.
func (r *room) allowed(useCase string, u jobs.UseCase) int {
	if u.Most <= 0 {
		return math.MaxInt
	}
	return max(1, int(u.Most*float64(r.size))) - r.cases[useCase]
}

// lot is the part of a use case in one round of sharing.
type lot struct {
	*bulkhead
	name   string
	config jobs.UseCase
	turns  map[jobs.Priority]*turn
	// held counts its places, with those chosen, and left how many more it may have.
	held, left int
	// short says that what comes next is not seen.
	short bool
}

// lots returns the use cases that have something ready. One that had not is as well
// served as the one that was served least.
func (p *pool) lots(w *window, r *room, ready *ready) []*lot {
	var all []*lot
	least := math.Inf(1)
	for name, priorities := range ready.cases {
		l := &lot{
			bulkhead: p.of(name), name: name, config: w.cases[name], turns: make(map[jobs.Priority]*turn),
			held: r.cases[name], left: r.allowed(name, w.cases[name]),
		}
		for priority, qs := range priorities {
			qs.settle()
			l.turns[priority] = l.rings[priority].turn(qs)
		}
		if all = append(all, l); l.busy {
			least = min(least, l.served)
		}
	}
	for _, l := range all {
		if !l.busy && !math.IsInf(least, 1) {
			l.served = max(l.served, least)
		}
	}
	for name, b := range p.cases {
		b.busy = ready.cases[name] != nil
	}
	return all
}

// before reports whether l is to be served before other: below its share goes
// before above it, then who was served less.
func (l *lot) before(other *lot, size int) bool {
	if below := l.below(size); below != other.below(size) {
		return below
	}
	if l.served != other.served {
		return l.served < other.served
	}
	return l.name < other.name
}

// below reports whether it has less than its share of the places.
func (l *lot) below(size int) bool { return float64(l.held) < l.config.Share*float64(size) }

// took notes that an item was chosen.
func (l *lot) took(it item) {
	l.held++
	l.left--
	l.served += float64(it.Cost) / l.config.Share
	switch low := l.turns[jobs.PriorityLow]; {
	case it.Priority == jobs.PriorityLow:
		l.sinceLow = 0
	case low != nil && low.waiting():
		l.sinceLow = min(l.sinceLow+1, lowEvery-1)
	}
}

// order is the order in which the priorities are asked.
func (l *lot) order() []jobs.Priority {
	if l.sinceLow >= lowEvery-1 {
		return []jobs.Priority{jobs.PriorityLow, jobs.PriorityHigh, jobs.PriorityNormal}
	}
	return jobs.Priorities()
}
