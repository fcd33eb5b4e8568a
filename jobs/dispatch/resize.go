package dispatch

import (
	"fmt"
	"maps"
)

// Resize puts others in the place of the config's Pools, from the next pass on.
// What is outstanding in a pool that is smaller by then, or is no more, stays
// so. Nothing changes if there is an error.
func (d *Dispatcher) Resize(pools map[string]int) error {
	if err := checkPools(pools); err != nil {
		return err
	}
	d.sizes.Store(&pools)
	d.Wake()
	return nil
}

func checkPools(pools map[string]int) error {
	for provider, size := range pools {
		if size < 1 {
			return fmt.Errorf("dispatch: Pools[%q] is %d; it must be at least 1", provider, size)
		}
	}
	return nil
}

// resize makes the pools what Resize asked for. A pool that stays keeps whose
// turn it is; of one that is no more nothing is told.
func (d *Dispatcher) resize() {
	wanted := d.sizes.Swap(nil)
	if wanted == nil {
		return
	}
	maps.DeleteFunc(d.pools, func(provider string, _ *pool) bool { return (*wanted)[provider] == 0 })
	for provider, size := range *wanted {
		if p, ok := d.pools[provider]; ok {
			p.size = size
		} else {
			d.pools[provider] = newPool(size)
		}
	}
	for provider, p := range d.flows.pools {
		if d.pools[provider] == nil {
			clear(p.held)
		}
	}
	clear(d.looks)
}
