package dispatch

import (
	"fmt"
	"maps"

	"github.com/penstock-dev/penstock/jobs"
)

// wanted is how the pools are to be.
type wanted struct {
	sizes  map[string]int
	groups groups
}

// groups names the quota pools of targets that are not in their provider's own.
type groups map[jobs.Target]string

// pool returns the name of the quota pool that a target is in.
func (g groups) pool(t jobs.Target) string {
	if name, ok := g[t]; ok {
		return name
	}
	return t.Provider
}

// Resize puts others in the place of the config's Pools and Groups, from the next
// pass on. What is outstanding in a pool that is smaller by then, or is no more,
// stays so. Nothing changes if there is an error.
func (d *Dispatcher) Resize(pools map[string]int, of map[jobs.Target]string) error {
	if err := checkPools(pools); err != nil {
		return err
	}
	d.wanted.Store(&wanted{pools, of})
	d.Wake()
	return nil
}

func checkPools(pools map[string]int) error {
	for name, size := range pools {
		if size < 1 {
			return fmt.Errorf("dispatch: Pools[%q] is %d; it must be at least 1", name, size)
		}
	}
	return nil
}

// resize makes the pools what Resize asked for. A pool that stays keeps whose
// turn it is; of one that is no more nothing is told.
func (d *Dispatcher) resize() {
	w := d.wanted.Swap(nil)
	if w == nil {
		return
	}
	d.groups = w.groups
	maps.DeleteFunc(d.pools, func(name string, _ *pool) bool { return w.sizes[name] == 0 })
	for name, size := range w.sizes {
		if p, ok := d.pools[name]; ok {
			p.size = size
		} else {
			d.pools[name] = newPool(size)
		}
	}
	for name, p := range d.flows.pools {
		if d.pools[name] == nil {
			clear(p.held)
		}
	}
	clear(d.looks)
}
