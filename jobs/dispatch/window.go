package dispatch

import (
	"context"
	"fmt"

	"github.com/penstock-dev/penstock/jobs"
)

// window is the room there is: the size of each pool, less what is outstanding
// there.
type window struct {
	pools  map[string]*room
	groups groups
	// cases are the use cases that are configured.
	cases map[string]jobs.UseCase
	// lanes is how many releases each target's own lane lets through, and closed
	// says of those that let nothing through why. A target that is in neither is
	// open.
	lanes  map[jobs.Target]int64
	closed map[jobs.Target]closed
	// bounded says, of each target that lets only so many through, by what.
	bounded map[jobs.Target]jobs.WaitingOn
	// outstanding counts the releases of each target that are not over.
	outstanding map[jobs.Target]int
	// health is the share of each target's calls that were good lately.
	health map[jobs.Target]float64
	// recovering are the targets that something is tried out on, and taken those
	// that something was released to.
	recovering []jobs.Target
	taken      map[jobs.Target]bool
}

// room is one pool's part of the window.
type room struct {
	size, free int
	// outstanding counts the releases that are not over.
	outstanding int
	// lets is how many calls the pool lets through, as far as its lanes tell; -1 when
	// none does. inPool counts those under way.
	lets, inPool int64
	// held counts outstanding releases by tenant, cases by use case.
	held  map[string]int
	cases map[string]int
}

// window reads what is outstanding and returns the room that leaves.
func (d *Dispatcher) window(ctx context.Context) (*window, error) {
	outstanding, err := d.cfg.Store.Outstanding(ctx)
	if err != nil {
		return nil, fmt.Errorf("count outstanding releases: %w", err)
	}
	w := &window{
		pools: make(map[string]*room, len(d.pools)), groups: d.groups, cases: d.cfg.Catalog.UseCases(),
		lanes: make(map[jobs.Target]int64), closed: make(map[jobs.Target]closed),
		taken: make(map[jobs.Target]bool), health: make(map[jobs.Target]float64),
		bounded: make(map[jobs.Target]jobs.WaitingOn), outstanding: make(map[jobs.Target]int),
	}
	for name, p := range d.pools {
		w.pools[name] = &room{size: p.size, free: p.size, lets: -1, held: make(map[string]int), cases: make(map[string]int)}
	}
	for _, o := range outstanding {
		t := jobs.Target{Provider: o.Provider, Model: o.Model}
		w.outstanding[t] += o.Count
		if r := w.pool(t); r != nil {
			r.free -= o.Count
			r.outstanding += o.Count
			r.held[o.Tenant] += o.Count
			r.cases[w.known(o.UseCase)] += o.Count
		}
	}
	return w, nil
}

// pool returns the room of a target's pool; nil when it is not configured.
func (w *window) pool(t jobs.Target) *room { return w.pools[w.groups.pool(t)] }

// free returns how many places a use case may have in a target's pool.
func (w *window) free(t jobs.Target, useCase string) int {
	if r := w.pool(t); r != nil {
		return min(r.free, r.allowed(useCase, w.cases[useCase]))
	}
	return 0
}

// full reports whether no pool has room.
func (w *window) full() bool {
	for _, r := range w.pools {
		if r.free > 0 {
			return false
		}
	}
	return true
}

// room counts the free places of all pools that r may use, where it has a
// target that lets something through and is not held.
func (w *window) room(r route) int {
	if r.held(w) {
		return 0
	}
	n, seen := 0, make(map[string]bool, len(r.targets))
	for _, t := range r.targets {
		if name := w.groups.pool(t); !seen[name] && w.through(t, r.useCase) > 0 {
			seen[name] = true
			n += w.free(t, r.useCase)
		}
	}
	return n
}

// take notes one more release.
func (w *window) take(it item) {
	t := it.target
	if r := w.pool(t); r != nil {
		r.free--
		r.outstanding++
		r.held[it.Tenant]++
		r.cases[it.useCase]++
	}
	w.taken[t] = true
	if n, bounded := w.lanes[t]; bounded && n > 0 {
		w.lanes[t] = n - 1
	}
}
