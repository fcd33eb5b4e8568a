package main

import "sync"

// recent remembers the last ids that were handled, so many and no more.
type recent struct {
	mu   sync.Mutex
	ids  map[string]bool
	ring []string // the same, in order
	next int      // the oldest: what is overwritten
}

func newRecent(size int) *recent {
	return &recent{ids: make(map[string]bool), ring: make([]string, max(size, 1))}
}

// once calls handle unless id was handled before. An id is remembered when handle
// returns nil: what failed is handled when it comes again.
func (r *recent) once(id string, handle func() error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids[id] {
		return nil
	}
	if err := handle(); err != nil {
		return err
	}
	delete(r.ids, r.ring[r.next])
	r.ring[r.next], r.ids[id] = id, true
	r.next = (r.next + 1) % len(r.ring)
	return nil
}
