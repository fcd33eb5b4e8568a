package lane

import (
	"context"
	"sync"
	"time"
)

// gates remembers until when this process has had each pool's gate kept, so that
// a hundred answers with the same hint are not as many writes.
type gates struct {
	mu    sync.Mutex
	until map[string]time.Time
}

// keepGate writes a gate to the store, unless it is known to be shut for as
// long.
func (l *Lanes) keepGate(ctx context.Context, pool string, wait time.Duration) error {
	if wait == 0 {
		return nil
	}
	until := time.Now().Add(wait)
	if l.gates.covers(pool, until) {
		return nil
	}
	if err := l.store.KeepGate(ctx, pool, wait); err != nil {
		return err
	}
	l.gates.kept(pool, until)
	return nil
}

func (g *gates) covers(pool string, until time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.until[pool].Before(until)
}

func (g *gates) kept(pool string, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.until == nil {
		g.until = make(map[string]time.Time)
	}
	if g.until[pool].Before(until) {
		g.until[pool] = until
	}
}
