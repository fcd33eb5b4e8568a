package dispatch

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
)

const (
	// maxRounds bounds how often one pass looks again for what it did not see at
	// first: beyond one look at each route. A pass that is cut short is followed
	// by another at once, after the lease was renewed if need be.
	maxRounds = 8
	// maxRoutes bounds how many routes one round looks at; the next round goes
	// on where it stopped.
	maxRoutes = 32
	// maxDirect bounds how many lines of targets that callers name themselves one pass
	// asks the lanes about: anybody can make up models without end, and routes are not
	// to wait for all of them. The next pass goes on where it stopped.
	maxDirect = 16
)

// pass releases what may run now. It returns true when there is reason to make
// another at once. A pass that finds every pool full is one query, but for one each
// Pace.Poll, which gives up what is unserved all the same; one that finds nothing
// live is two. One more each Pace.Poll asks for executions whose time has come.
func (d *Dispatcher) pass(ctx context.Context) (more bool, err error) {
	start := time.Now()
	d.resize()
	ctx, cancel := context.WithDeadline(ctx, d.until())
	defer cancel()
	if err := d.unpark(ctx); err != nil {
		return false, err
	}
	w, err := d.window(ctx)
	if err != nil {
		return false, err
	}
	d.flows.window(w, start)
	if w.full() && start.Sub(d.looked) < d.cfg.Pace.Poll {
		return false, nil
	}
	d.looked = start
	routes, again, err := d.routes(ctx, w)
	defer func() {
		d.flows.passed(time.Now())
		d.triedOut(w, time.Now())
	}()
	if err != nil || len(routes) == 0 {
		return again, err
	}
	released := 0
	for looked, n := 0, 0; looked < len(routes) || (more && n < maxRounds); looked, n = looked+maxRoutes, n+1 {
		var got int
		got, more, err = d.round(ctx, w, routes)
		released += got
		if err != nil {
			return false, err
		}
		if w.full() {
			break
		}
	}
	if released > 0 {
		d.cfg.Observer.pass(time.Since(start), released)
	}
	return more || again, nil
}

// route is a line of a route that can be served.
type route struct {
	line jobs.Line
	// useCase is the line's, or the default for one that is not configured.
	useCase string
	targets []jobs.Target
	// lesser are the targets for what degrades while no other can be called, and
	// degraded says that they are in the place of targets.
	lesser   []jobs.Target
	degraded bool
	mode     jobs.Mode
	weigh    jobs.Weigh
	// patience is how long a candidate waits for a target before the next.
	patience time.Duration
}

// held reports whether an operator holds all of the route: by a pause of its first
// target.
func (r route) held(w *window) bool {
	return r.mode != jobs.ActiveActive && !r.degraded && w.closed[r.targets[0]].reason == lane.Paused
}

// target returns the route's target of that index. An index that the
// configuration no longer has means the first.
func (r route) target(i int) jobs.Target {
	if i < 0 || i >= len(r.targets) {
		return r.targets[0]
	}
	return r.targets[i]
}

// routes returns the routes that have live executions and a pool with room, and
// gives up what is unserved: more says that some of it is left. Executions of a
// route that cannot be served stay where they are, until the route is back or
// their deadline.
func (d *Dispatcher) routes(ctx context.Context, w *window) (_ []route, more bool, err error) {
	lines, err := d.cfg.Store.Routes(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("list live routes: %w", err)
	}
	slices.SortFunc(lines, func(a, b jobs.Line) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.UseCase, b.UseCase))
	})
	lines, rest := d.some(lines)
	var live []route
	for _, line := range lines {
		r, err := d.resolve(line.Route)
		if err != nil {
			d.reports.unknown(d.cfg.Observer, line.Route, err)
			continue
		}
		r.line, r.useCase = line, w.known(line.UseCase)
		live = append(live, r)
	}
	var targets []jobs.Target
	for _, r := range live {
		targets = append(targets, r.targets...)
	}
	if err := d.lanes(ctx, w, targets); err != nil {
		return nil, false, err
	}
	d.flows.routes(live, rest, w)
	if more, err = d.giveUpAll(ctx, w, live); err != nil {
		return nil, false, err
	}
	more = more || d.direct != ""
	d.opensAt = d.opens(w, live, time.Now())
	return slices.DeleteFunc(live, func(r route) bool { return w.room(r) == 0 }), more, nil
}

// some returns the lines of routes, and those of targets that callers name themselves
// whose turn it is; rest are the others. The lines are in order.
func (d *Dispatcher) some(lines []jobs.Line) (now, rest []jobs.Line) {
	last, n := d.direct, 0
	d.direct = ""
	for _, line := range lines {
		switch {
		case !strings.Contains(line.Route, "/"):
			now = append(now, line)
		case line.Route <= last:
			rest = append(rest, line)
		case n >= maxDirect && line.Route != d.direct:
			rest = append(rest, line)
		default:
			now, d.direct, n = append(now, line), line.Route, n+1
		}
	}
	if n == 0 && last != "" {
		return d.some(lines) // those behind it are gone
	}
	if d.direct == lastDirect(lines) {
		d.direct = "" // from the first again
	}
	return now, rest
}

// lastDirect returns the last target that callers name themselves; empty: none.
func lastDirect(lines []jobs.Line) string {
	for _, line := range slices.Backward(lines) {
		if strings.Contains(line.Route, "/") {
			return line.Route
		}
	}
	return ""
}

func (d *Dispatcher) resolve(name string) (route, error) {
	r, err := d.cfg.Catalog.Resolve(name)
	served := func(t jobs.Target) bool { return d.pools[d.groups.pool(t)] != nil }
	if err != nil || !slices.ContainsFunc(r.Targets, served) {
		return route{}, fmt.Errorf("route %q has live executions, and neither it nor a provider of it is configured; "+
			"they wait until their deadline: configure it again or cancel their jobs", name)
	}
	return route{targets: r.Targets, lesser: r.Degraded, mode: r.Mode, weigh: r.Weigh.OrDefault(), patience: r.Patience}, nil
}

// round looks at what is ready, shares the room out and releases. It returns
// how many were released, and whether another round may find more.
func (d *Dispatcher) round(ctx context.Context, w *window, routes []route) (released int, more bool, err error) {
	v := newView()
	looked := d.nextRoutes(routes)
	for _, r := range looked {
		if err := d.look(ctx, w, r, v); err != nil {
			return 0, false, err
		}
	}
	var chosen []item
	short := len(looked) < len(routes)
	for name, ready := range v.pools {
		items, cut := d.pools[name].share(w, w.pools[name], ready)
		chosen = append(chosen, items...)
		short = short || cut
	}
	if len(chosen) == 0 {
		return 0, false, nil
	}
	released, err = d.release(ctx, w, chosen)
	return released, short && released > 0 && !w.full(), err
}

// nextRoutes returns the routes this round looks at, in turn.
func (d *Dispatcher) nextRoutes(routes []route) []route {
	if len(routes) <= maxRoutes {
		return routes
	}
	some := make([]route, 0, maxRoutes)
	for i := range maxRoutes {
		some = append(some, routes[(d.start+i)%len(routes)])
	}
	d.start = (d.start + maxRoutes) % len(routes)
	return some
}

// release releases what was chosen, in one call, and enqueues what was
// released. A failure to enqueue is not one of the pass: the releases are made,
// and the reconciler finds those that no worker will be handed. But whoever
// cannot enqueue should not lead.
func (d *Dispatcher) release(ctx context.Context, w *window, chosen []item) (int, error) {
	releases := make([]jobs.Release, len(chosen))
	items := make(map[uuid.UUID]item, len(chosen))
	for i, it := range chosen {
		releases[i] = jobs.Release{
			Execution: it.Execution, Fence: it.Fence, Provider: it.target.Provider, Model: it.target.Model,
			Degraded: it.degraded,
		}
		items[it.Execution] = it
	}
	tasks, err := d.cfg.Store.Release(ctx, releases, time.Now().UTC())
	if err != nil {
		return 0, fmt.Errorf("release %d executions: %w", len(releases), err)
	}
	counts := make(map[string]int)
	for _, t := range tasks {
		it := items[t.Execution]
		w.take(it)
		d.flows.released(it.Candidate, d.groups.pool(it.target), time.Now())
		counts[t.Provider]++
	}
	d.enqueue(ctx, tasks)
	for provider, n := range counts {
		d.cfg.Observer.released(provider, n)
	}
	return len(tasks), nil
}

// enqueue hands tasks to the queue even if ctx has ended: they are released.
func (d *Dispatcher) enqueue(ctx context.Context, tasks []jobs.Task) {
	if len(tasks) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handOver)
	defer cancel()
	err := d.cfg.Queue.Enqueue(ctx, tasks)
	d.deaf = d.deaf || err != nil
	d.reports.enqueued(d.cfg.Observer, len(tasks), err)
}
