package dispatch

import (
	"context"
	"fmt"
)

// window is the room there is: the size of each provider's pool, less what is
// outstanding there.
type window struct {
	pools map[string]*room
}

// room is one provider's part of the window.
type room struct {
	free int
	// held counts outstanding releases by tenant.
	held map[string]int
}

// window reads what is outstanding and returns the room that leaves.
func (d *Dispatcher) window(ctx context.Context) (*window, error) {
	outstanding, err := d.cfg.Store.Outstanding(ctx)
	if err != nil {
		return nil, fmt.Errorf("count outstanding releases: %w", err)
	}
	w := &window{pools: make(map[string]*room, len(d.pools))}
	for provider, p := range d.pools {
		w.pools[provider] = &room{free: p.size, held: make(map[string]int)}
	}
	for _, o := range outstanding {
		if r, ok := w.pools[o.Provider]; ok {
			r.free -= o.Count
			r.held[o.Tenant] += o.Count
		}
	}
	return w, nil
}

// free returns how many places a provider has; one that is not configured has none.
func (w *window) free(provider string) int {
	if r, ok := w.pools[provider]; ok {
		return r.free
	}
	return 0
}

// full reports whether no provider has room.
func (w *window) full() bool {
	for _, r := range w.pools {
		if r.free > 0 {
			return false
		}
	}
	return true
}

// room counts the free places of all providers that r may use.
func (w *window) room(r route) int {
	n, seen := 0, make(map[string]bool, len(r.targets))
	for _, t := range r.targets {
		if !seen[t.Provider] {
			seen[t.Provider] = true
			n += max(0, w.free(t.Provider))
		}
	}
	return n
}

// take notes one more release.
func (w *window) take(provider, tenant string) {
	if r, ok := w.pools[provider]; ok {
		r.free--
		r.held[tenant]++
	}
}
