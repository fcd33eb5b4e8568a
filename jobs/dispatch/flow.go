package dispatch

import (
	"maps"
	"math"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// rememberedFlows bounds how many backlogs are watched at once.
	rememberedFlows = 1000
	// What is watched fades with the memory of a few runs, within these bounds: it
	// takes several to know the rate of few slow ones, and what changed a minute
	// ago must not tell of quick ones.
	runsRemembered          = 4
	leastMemory, mostMemory = 5 * time.Second, 10 * time.Minute
)

// flows watches how backlogs move. It belongs to the goroutine in Run.
type flows struct {
	backlogs map[flowKey]*backlogFlow
	pools    map[string]*poolFlow
	// seen is what the pass at hand has seen, by the line it looked at.
	seen map[jobs.Line]map[flowKey]seen
	// live are the lines that have executions, with the pool of their first
	// target.
	live map[jobs.Line]string
	// closed says why nothing of a line goes through at all.
	closed map[jobs.Line]jobs.WaitingOn
	// told is when they were told last, or when there began to be something to
	// tell; written says that the store has something of it.
	told    time.Time
	telling bool
	written bool
}

func newFlows() *flows {
	return &flows{
		backlogs: make(map[flowKey]*backlogFlow), pools: make(map[string]*poolFlow),
		seen: make(map[jobs.Line]map[flowKey]seen), live: make(map[jobs.Line]string),
		closed: make(map[jobs.Line]jobs.WaitingOn),
	}
}

// flowKey names a backlog: what a tenant has ready beyond the room there is.
// High and normal priority are one, since normal waits for high; low has a share
// of its own.
type flowKey struct {
	tenant string
	line   jobs.Line
	low    bool
}

// seen is what a look saw of one backlog: how many are left, and whether there
// are more than it saw.
type seen struct {
	pool string
	left int
	more bool
}

// backlogFlow is how one backlog moves, from when it was first seen.
type backlogFlow struct {
	pool string
	// gone is what was released, and waited in how many seconds; both fade.
	gone, waited float64
	at           time.Time
}

// poolFlow is how the places of a pool change hands.
type poolFlow struct {
	// held is what each tenant has outstanding.
	held map[string]int
	// over is how many finished, and busy the seconds that places were held; both
	// fade.
	over, busy float64
	// cost is what each tenant was given, in tokens; it fades.
	cost map[string]float64
	at   time.Time
}

// run returns how many seconds a release takes on average until it is over
// (Little's law); zero: not known.
func (p *poolFlow) run() float64 {
	if p == nil || p.over < 0.5 {
		return 0
	}
	return p.busy / p.over
}

// fade returns what is left of what was since the given time, and as how many
// seconds the time itself counts, of which the first have faded, too.
func (p *poolFlow) fade(since, now time.Time) (keep, passed float64) {
	memory := min(max(runsRemembered*p.run(), leastMemory.Seconds()), mostMemory.Seconds())
	keep = math.Exp(-now.Sub(since).Seconds() / memory)
	return keep, memory * (1 - keep)
}

// advance lets time pass until now.
func (p *poolFlow) advance(now time.Time) {
	keep, passed := p.fade(p.at, now)
	held := 0
	for _, n := range p.held {
		held += n
	}
	p.over, p.busy = p.over*keep, p.busy*keep+float64(held)*passed
	for tenant := range p.cost {
		if p.cost[tenant] *= keep; p.cost[tenant] < 1 {
			delete(p.cost, tenant)
		}
	}
	p.at = now
}

// advance lets time pass until now.
func (b *backlogFlow) advance(now time.Time, p *poolFlow) {
	keep, passed := p.fade(b.at, now)
	b.gone, b.waited, b.at = b.gone*keep, b.waited*keep+passed, now
}

// window takes note of the room there is.
func (f *flows) window(w *window, now time.Time) {
	for name, r := range w.pools {
		p := f.pools[name]
		if p == nil {
			p = &poolFlow{cost: make(map[string]float64), at: now}
			f.pools[name] = p
		}
		p.advance(now)
		for tenant, n := range p.held {
			p.over += float64(max(0, n-r.held[tenant]))
		}
		p.held = maps.Clone(r.held)
	}
}

// routes takes note of the routes that have executions, and of what keeps those
// that are closed. Nobody looks at those: what is ready on them is a backlog as
// long as they are. The rest, which the pass leaves out, are as they were.
func (f *flows) routes(all []route, rest []jobs.Line, w *window) {
	left := make(map[jobs.Line]bool, len(rest))
	for _, line := range rest {
		left[line] = true
	}
	maps.DeleteFunc(f.live, func(line jobs.Line, _ string) bool { return !left[line] })
	maps.DeleteFunc(f.closed, func(line jobs.Line, _ jobs.WaitingOn) bool { return !left[line] })
	for _, r := range all {
		f.live[r.line] = w.groups.pool(r.targets[0])
		if shut, is := w.closed[r.targets[0]]; is && w.room(r) == 0 {
			f.closed[r.line] = shut.why
		}
	}
}

// look begins another look at a route.
func (f *flows) look(r route) {
	if of := f.seen[r.line]; of != nil {
		clear(of)
		return
	}
	f.seen[r.line] = make(map[flowKey]seen)
}

// saw takes note of what the look saw of one priority.
func (f *flows) saw(w *window, r route, p page) {
	of, counts := f.seen[r.line], make(map[string]int)
	for _, c := range p.found {
		key := flowKey{c.Tenant, r.line, c.Priority == jobs.PriorityLow}
		counts[c.Tenant]++
		before := of[key]
		of[key] = seen{
			pool: w.groups.pool(r.target(c.Target)), left: before.left + 1,
			more: before.more || counts[c.Tenant] >= p.query.PerTenant,
		}
	}
	if p.whole {
		return
	}
	for key, b := range f.backlogs { // what was not looked at is as it was
		if _, looked := of[key]; !looked && key.line == r.line {
			of[key] = seen{pool: b.pool, more: true}
		}
	}
}

// released takes note of a release.
func (f *flows) released(c jobs.Candidate, pool string, now time.Time) {
	line := jobs.Line{Route: c.Route, UseCase: c.UseCase}
	key := flowKey{c.Tenant, line, c.Priority == jobs.PriorityLow}
	if s, ok := f.seen[line][key]; ok {
		s.left--
		f.seen[line][key] = s
	}
	p := f.pools[pool]
	if p == nil {
		return
	}
	p.held[c.Tenant]++
	p.cost[c.Tenant] += float64(c.Cost)
	if b := f.backlogs[key]; b != nil {
		b.advance(now, p)
		b.gone++
	}
}

// passed ends a pass: what it saw no more of is no backlog. What began to be one
// is watched from here on, so that what filled the room does not count.
func (f *flows) passed(now time.Time) {
	maps.DeleteFunc(f.backlogs, func(key flowKey, _ *backlogFlow) bool {
		of, looked := f.seen[key.line]
		_, live := f.live[key.line]
		return !live || looked && of[key].left <= 0 && !of[key].more
	})
	for _, of := range f.seen {
		for key, s := range of {
			if _, ok := f.backlogs[key]; !ok && (s.left > 0 || s.more) && len(f.backlogs) < rememberedFlows {
				f.backlogs[key] = &backlogFlow{pool: s.pool, at: now}
			}
		}
	}
	clear(f.seen)
}
