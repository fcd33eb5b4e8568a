package dispatch

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// fewTenants and manyTenants bound the tenants of one query, for little room
	// and for much. With more tenants the queries go round: each starts after the
	// tenant that was served last. What is shared by cost within one query is
	// shared by turns between several.
	fewTenants, manyTenants = 32, 128
	// leastPerTenant is the least worth reading of one tenant.
	leastPerTenant = 2
	// deepLook is how far into one tenant's backlog is read, at most once in
	// deepLookEvery, when all that stands in front is for a pool without room.
	// When that is not far enough, the next goes twice as far, over all tenants at
	// most to deepestLook: what stands behind more than that waits for its turn.
	deepLook      = 256
	deepestLook   = 16384
	deepLookEvery = time.Second
	// rememberedLooks bounds what is remembered of routes.
	rememberedLooks = 4096
	// maxCost keeps sums of costs far from overflow.
	maxCost = 1 << 40
)

// item is a candidate and the target it would be released to, or waits for.
type item struct {
	jobs.Candidate
	target jobs.Target
	open   bool
	// useCase is the one that is configured.
	useCase string
	// degraded says that it is a lesser target.
	degraded bool
}

// before orders a tenant's own items: by deadline, then age. Ids are UUIDv7.
func (it item) before(other item) int {
	return cmp.Or(it.Deadline.Compare(other.Deadline), bytes.Compare(it.Execution[:], other.Execution[:]))
}

type lookKey struct {
	line     jobs.Line
	priority jobs.Priority
	degraded bool
}

// look is what is remembered of the last query for a route and priority.
type look struct {
	// tenants is how many had something ready, as far as is known; at least 1.
	tenants int
	// many says that there were more tenants than one query returns.
	many bool
	// deep is when the last deep look was, and depth how far the next goes.
	deep  time.Time
	depth int
}

// deepen returns how far into each tenant's backlog a deep look goes.
func (l *look) deepen() int {
	l.deep = time.Now()
	depth := l.depth
	l.depth = min(max(2*l.depth, 2*deepLook), deepestLook)
	return max(deepLook, depth/l.tenants)
}

func (l *look) saw(tenants int, all bool) {
	if l.many = !all; l.many {
		tenants = max(tenants, l.tenants)
	}
	l.tenants = max(1, tenants)
}

// look adds to v what is ready on a route.
func (d *Dispatcher) look(ctx context.Context, w *window, r route, v *view) error {
	if !r.degraded {
		d.flows.look(r)
	}
	for _, priority := range jobs.Priorities() {
		l := d.remembered(lookKey{r.line, priority, r.degraded})
		q := jobs.ReadyQuery{
			Route: r.line.Route, UseCase: r.line.UseCase, Priority: priority, Now: time.Now().UTC(),
			Tenants:   min(manyTenants, max(fewTenants, 8*w.room(r))),
			PerTenant: perTenant(w.room(r), l.tenants), Degradable: r.degraded,
		}
		p, err := d.page(ctx, q, l, d.ring(w, r, priority).last)
		if err != nil {
			return err
		}
		switch useless := d.useless(w, r, p); {
		case !useless:
			l.depth = 0
		case time.Since(l.deep) >= deepLookEvery:
			q.PerTenant = l.deepen()
			if p, err = d.page(ctx, q, l, d.ring(w, r, priority).last); err != nil {
				return err
			}
		}
		if !r.degraded { // or it would seem that there are no others
			d.flows.saw(w, r, p)
		}
		d.add(v, w, r, p)
	}
	return nil
}

// perTenant is how many candidates of each tenant to read: twice what each
// would get if all got the same, since some have less, but never more than all
// the room there is.
func perTenant(room, tenants int) int {
	return max(leastPerTenant, min(room, 2*((room+tenants-1)/tenants)))
}

func (d *Dispatcher) remembered(k lookKey) *look {
	l, ok := d.looks[k]
	if !ok {
		if len(d.looks) >= rememberedLooks {
			clear(d.looks)
		}
		l = &look{tenants: 1}
		d.looks[k] = l
	}
	return l
}

// ring returns that of the first pool of the route with room: it says after which
// tenant to look.
func (d *Dispatcher) ring(w *window, r route, priority jobs.Priority) *ring {
	for _, t := range r.targets {
		if w.through(t, r.useCase) > 0 {
			return d.pools[d.groups.pool(t)].of(r.useCase).rings[priority]
		}
	}
	return &ring{} // not reached: a route is looked at when it has room
}

// page is the answer to one look.
type page struct {
	query jobs.ReadyQuery
	found []jobs.Candidate
	// after is the tenant it starts behind, and whole says that it goes all the
	// way round to it again.
	after string
	whole bool
}

// page asks for the next tenants after the given one, and goes on from the
// first tenant when the last is passed. As long as all tenants fit in one
// answer, where it starts does not matter and one query does.
func (d *Dispatcher) page(ctx context.Context, q jobs.ReadyQuery, l *look, after string) (page, error) {
	if !l.many {
		after = ""
	}
	q.AfterTenant = after
	found, err := d.ready(ctx, q)
	if err != nil {
		return page{}, err
	}
	p := page{query: q, found: found, after: after}
	n := tenantsIn(found)
	if p.whole = n < q.Tenants && after == ""; !p.whole && n < q.Tenants {
		if err := d.wrap(ctx, &p, q.Tenants-n); err != nil {
			return page{}, err
		}
	}
	l.saw(tenantsIn(p.found), p.whole)
	return p, nil
}

// wrap adds up to tenants of the first tenants to p.
func (d *Dispatcher) wrap(ctx context.Context, p *page, tenants int) error {
	q := p.query
	q.AfterTenant, q.Tenants = "", tenants
	found, err := d.ready(ctx, q)
	if err != nil {
		return err
	}
	seen := make(map[string]bool, len(p.found))
	for _, c := range p.found {
		seen[c.Tenant] = true
	}
	fresh := slices.DeleteFunc(slices.Clone(found), func(c jobs.Candidate) bool { return seen[c.Tenant] })
	p.whole = len(fresh) < len(found) || tenantsIn(found) < tenants
	p.found = append(p.found, fresh...)
	return nil
}

func (d *Dispatcher) ready(ctx context.Context, q jobs.ReadyQuery) ([]jobs.Candidate, error) {
	found, err := d.cfg.Store.Ready(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("list ready executions of route %q: %w", q.Route, err)
	}
	return found, nil
}

func tenantsIn(cs []jobs.Candidate) int {
	seen := make(map[string]struct{})
	for _, c := range cs {
		seen[c.Tenant] = struct{}{}
	}
	return len(seen)
}

// useless reports whether p is not empty and all of it is for pools without room.
func (d *Dispatcher) useless(w *window, r route, p page) bool {
	return len(p.found) > 0 && !slices.ContainsFunc(p.found, func(c jobs.Candidate) bool {
		_, ok := d.choose(w, r, c)
		return ok
	})
}

// add sorts a page into the view, by pool, use case, priority and tenant.
func (d *Dispatcher) add(v *view, w *window, r route, p page) {
	perTenant := make(map[string][]item)
	var order []string
	for _, c := range p.found {
		c.Cost = min(max(1, c.Cost), maxCost)
		if len(perTenant[c.Tenant]) == 0 {
			order = append(order, c.Tenant)
		}
		it := item{Candidate: c, useCase: r.useCase, degraded: r.degraded}
		it.target, it.open = d.choose(w, r, c)
		perTenant[c.Tenant] = append(perTenant[c.Tenant], it)
	}
	for _, tenant := range order {
		items := perTenant[tenant]
		cut := len(items) >= p.query.PerTenant
		for _, it := range items {
			if it.open {
				v.queues(d.groups.pool(it.target), r.useCase, p.query.Priority).add(it, cut, items[len(items)-1])
			}
		}
	}
	if !p.whole && len(order) > 0 {
		for name := range v.pools {
			qs := v.queues(name, r.useCase, p.query.Priority)
			qs.ends = append(qs.ends, order[len(order)-1])
		}
	}
}

// view is what a round has seen.
type view struct {
	pools map[string]*ready
}

func newView() *view { return &view{pools: make(map[string]*ready)} }

// ready is what was seen for one pool.
type ready struct {
	cases map[string]map[jobs.Priority]*queues
}

func (v *view) queues(pool, useCase string, priority jobs.Priority) *queues {
	r, ok := v.pools[pool]
	if !ok {
		r = &ready{cases: make(map[string]map[jobs.Priority]*queues)}
		v.pools[pool] = r
	}
	if r.cases[useCase] == nil {
		r.cases[useCase] = make(map[jobs.Priority]*queues)
	}
	qs, ok := r.cases[useCase][priority]
	if !ok {
		qs = &queues{tenants: make(map[string]*backlog)}
		r.cases[useCase][priority] = qs
	}
	return qs
}

// queues are the tenants' backlogs of one pool, use case and priority.
type queues struct {
	tenants map[string]*backlog
	// ends holds, of each look that did not go all the way round, the last
	// tenant it saw.
	ends []string
}

// backlog is the head of what one tenant has ready.
type backlog struct {
	items []item
	// cut says that the store has more than these; last is the last item that
	// certainly has nothing unseen before it.
	cut  bool
	last item
}

func (q *queues) add(it item, cut bool, last item) {
	b, ok := q.tenants[it.Tenant]
	if !ok {
		b = &backlog{}
		q.tenants[it.Tenant] = b
	}
	b.items = append(b.items, it)
	if cut && (!b.cut || last.before(b.last) < 0) {
		b.cut, b.last = true, last
	}
}

// settle puts each backlog in order and drops what may have something unseen
// before it.
func (q *queues) settle() {
	for _, b := range q.tenants {
		slices.SortFunc(b.items, item.before)
		if b.cut {
			b.items = slices.DeleteFunc(b.items, func(it item) bool { return b.last.before(it) < 0 })
		}
	}
}
