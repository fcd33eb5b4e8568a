package dispatch

import (
	"cmp"
	"maps"
	"slices"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// Of a contested pool no tenant takes more than mostNum/mostDen. A pool is
	// contested for a tenant while another has something ready for it.
	mostNum, mostDen = 4, 5
	// lowEvery: while low-priority work is ready, one release of a pool in so
	// many is low, whatever else is ready.
	lowEvery = 16
	// rememberedDeficits bounds what is remembered of tenants, in each ring.
	rememberedDeficits = 4096
)

// pool is what is remembered between passes of how a quota pool's room was shared.
type pool struct {
	size  int
	cases map[string]*bulkhead
}

func newPool(size int) *pool { return &pool{size: size, cases: make(map[string]*bulkhead)} }

// most is how many releases a tenant may have outstanding in a contested pool.
func (p *pool) most() int { return max(1, p.size*mostNum/mostDen) }

// share is one round of sharing a pool's room.
type share struct {
	pool *pool
	room *room
	// lanes is how much each target that is bounded still lets through.
	lanes map[jobs.Target]int64
	lots  []*lot
	// taken counts what was chosen, left what is still ready, by tenant.
	taken map[string]int
	left  map[string]int
	// unseen says that there are tenants that this round does not see.
	unseen bool
}

// share chooses what to release into the pool's room: between the use cases by their
// shares; for each strictly high before normal before low but for low's small part,
// and within a priority in turn over the tenants. It reports cut when something of it
// stopped for want of sight rather than of room or work: another look will show more.
func (p *pool) share(w *window, r *room, ready *ready) (chosen []item, cut bool) {
	s := &share{
		pool: p, room: r, lanes: maps.Clone(w.lanes), lots: p.lots(w, r, ready),
		taken: make(map[string]int), left: make(map[string]int),
	}
	for _, priorities := range ready.cases {
		for _, qs := range priorities {
			s.unseen = s.unseen || len(qs.ends) > 0
			for tenant, b := range qs.tenants {
				s.left[tenant] += len(b.items)
			}
		}
	}
	for r.free > len(chosen) {
		it, ok := s.next()
		if !ok {
			break
		}
		chosen = append(chosen, it)
	}
	for _, l := range s.lots {
		cut = cut || l.short
		for _, t := range l.turns {
			t.end()
		}
	}
	return chosen, cut
}

// next chooses one item: of the first of the use cases, in their order, that has one
// which may be taken.
func (s *share) next() (item, bool) {
	slices.SortFunc(s.lots, func(a, b *lot) int {
		if a.before(b, s.pool.size) {
			return -1
		}
		return 1
	})
	for _, l := range s.lots {
		if l.left <= 0 || l.short {
			continue
		}
		if it, got := s.of(l); got {
			l.took(it)
			s.took(it)
			return it, true
		}
	}
	return item{}, false
}

// of chooses one item of a use case.
func (s *share) of(l *lot) (item, bool) {
	for _, priority := range l.order() {
		t, ok := l.turns[priority]
		if !ok {
			continue
		}
		switch it, got := t.pick(s.capped, s.shut); got {
		case picked:
			return it, true
		case short:
			l.short = true
			return item{}, false
		case none: // the next priority
		}
	}
	return item{}, false
}

func (s *share) took(it item) {
	s.taken[it.Tenant]++
	if n, bounded := s.lanes[it.target]; bounded {
		s.lanes[it.target] = n - 1
	}
	if s.left[it.Tenant]--; s.left[it.Tenant] == 0 {
		delete(s.left, it.Tenant)
	}
}

// capped reports whether the tenant has its part of the pool and another
// tenant has something ready.
func (s *share) capped(tenant string) bool {
	others := len(s.left)
	if s.left[tenant] > 0 {
		others--
	}
	contested := others > 0 || s.unseen
	return contested && s.room.held[tenant]+s.taken[tenant] >= s.pool.most()
}

// shut reports whether the item's target lets nothing more through.
func (s *share) shut(it item) bool {
	n, bounded := s.lanes[it.target]
	return bounded && n <= 0
}

// ring goes round the tenants of a bulkhead and priority: deficit round-robin
// (Shreedhar and Varghese, 1995), with the cost of an execution in tokens.
type ring struct {
	// last is the tenant whose visit ended last: the next in the order of names
	// is visited next.
	last string
	// visiting is the tenant whose visit the end of the room interrupted.
	visiting string
	// deficit is what a tenant may still take, in tokens. A tenant with nothing
	// ready has none.
	deficit map[string]int64
}

// turn is one round's part of a ring.
type turn struct {
	ring    *ring
	tenants map[string]*backlog
	// order is the order of visits, starting after ring.last; partial says that
	// there are more tenants behind its end.
	order   []string
	partial bool
	at      int
	// visited says that the tenant at hand has had its quantum.
	visited bool
	// quantum is the cheapest head there is: small enough for equal tenants to
	// alternate, large enough for each round to serve one.
	quantum int64
	served  bool
}

func (r *ring) turn(qs *queues) *turn {
	t := &turn{ring: r, tenants: qs.tenants, partial: len(qs.ends) > 0, quantum: maxCost}
	t.order = slices.SortedFunc(maps.Keys(qs.tenants), r.compare)
	if t.partial {
		end := slices.MinFunc(qs.ends, r.compare)
		t.order = slices.DeleteFunc(t.order, func(name string) bool { return r.compare(name, end) > 0 })
	}
	for _, name := range t.order {
		if items := qs.tenants[name].items; len(items) > 0 {
			t.quantum = min(t.quantum, items[0].Cost)
		}
	}
	t.visited = len(t.order) > 0 && t.order[0] == r.visiting
	return t
}

// compare orders tenants by when they are next visited.
func (r *ring) compare(a, b string) int {
	if passedA, passedB := a <= r.last, b <= r.last; passedA != passedB {
		if passedB {
			return -1
		}
		return 1
	}
	return cmp.Compare(a, b)
}

// outcome is what came of asking a turn for an item.
type outcome int

const (
	// none: nothing that may be taken is ready.
	none outcome = iota
	// picked: here it is.
	picked
	// short: the next in order is there but was not seen; look again.
	short
)

// pick takes the next item of a tenant that is not capped. Those whose target is
// shut are passed over.
func (t *turn) pick(capped func(tenant string) bool, shut func(item) bool) (item, outcome) {
	for {
		if t.at == len(t.order) {
			if t.partial && t.served {
				return item{}, short
			}
			if !t.rewind(capped) {
				return item{}, none
			}
		}
		name := t.order[t.at]
		b := t.tenants[name]
		for len(b.items) > 0 && shut(b.items[0]) {
			b.items = b.items[1:]
		}
		if len(b.items) == 0 && b.cut {
			return item{}, short
		}
		if len(b.items) == 0 || capped(name) || !t.affords(name, b.items[0].Cost) {
			t.leave()
			continue
		}
		it := b.items[0]
		b.items = b.items[1:]
		t.ring.deficit[name] -= it.Cost
		t.served = true
		return it, picked
	}
}

// affords gives the tenant at hand its quantum, once a visit, and reports
// whether it can pay cost.
func (t *turn) affords(name string, cost int64) bool {
	if !t.visited {
		t.visited = true
		t.ring.deficit[name] += t.quantum
	}
	return cost <= t.ring.deficit[name]
}

// leave ends the visit of the tenant at hand.
func (t *turn) leave() {
	t.ring.last = t.order[t.at]
	t.at++
	t.visited = false
}

// rewind starts another cycle, if there is anybody to serve. Cycles in which
// nobody could pay are made all at once.
func (t *turn) rewind(capped func(string) bool) bool {
	var eligible []string
	cycles := int64(maxCost)
	for _, name := range t.order {
		b := t.tenants[name]
		if len(b.items) == 0 && b.cut {
			cycles = 0 // stop there and look again
			eligible = append(eligible, name)
		}
		if len(b.items) == 0 || capped(name) {
			continue
		}
		eligible = append(eligible, name)
		missing := b.items[0].Cost - t.ring.deficit[name]
		cycles = min(cycles, max(0, (missing-1)/t.quantum))
	}
	for _, name := range eligible {
		t.ring.deficit[name] += cycles * t.quantum
	}
	t.at = 0
	return len(eligible) > 0
}

// end keeps what the next round must know.
func (t *turn) end() {
	t.ring.visiting = ""
	if t.visited && t.at < len(t.order) {
		name := t.order[t.at]
		if t.tenants[name].goesOn(t.ring.deficit[name]) {
			t.ring.visiting = name
		} else {
			t.leave()
		}
	}
	crowded := len(t.ring.deficit) > rememberedDeficits
	maps.DeleteFunc(t.ring.deficit, func(name string, _ int64) bool {
		b, seen := t.tenants[name]
		if !seen {
			return crowded || !t.partial
		}
		return len(b.items) == 0 && !b.cut
	})
}

// goesOn reports whether a tenant with this deficit may have more to take in
// the same visit.
func (b *backlog) goesOn(deficit int64) bool {
	if len(b.items) == 0 {
		return b.cut && deficit > 0
	}
	return b.items[0].Cost <= deficit
}

// waiting reports whether anything is ready.
func (t *turn) waiting() bool {
	for _, b := range t.tenants {
		if len(b.items) > 0 {
			return true
		}
	}
	return false
}
