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

// debtOf is the name under which a store keeps a pool's debt, as it keeps a gate.
func debtOf(pool string) string { return pool + "#debt" }

// ahead is how much longer a debt is kept than it is, so that one that stands as
// long as there is demand is not a write for each call.
const ahead = 5 * time.Second

// keepDebt writes to the store for how long a pool's tokens are used up, unless it
// is known to have that. What is less than a burst need not be known.
func (l *Lanes) keepDebt(ctx context.Context, pool string, debt time.Duration) error {
	if debt <= l.cfg.Burst || l.debts.covers(pool, time.Now().Add(debt)) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	until := time.Now().Add(debt + ahead)
	if err := l.store.KeepGate(ctx, debtOf(pool), debt+ahead); err != nil {
		return err
	}
	l.debts.kept(pool, until)
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
