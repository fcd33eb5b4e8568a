package run

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/providers/lane"
)

// permits are those that this worker holds: its heartbeat renews them.
type permits struct {
	mu   sync.Mutex
	held map[uuid.UUID]lane.Permit
}

func newPermits() *permits { return &permits{held: make(map[uuid.UUID]lane.Permit)} }

func (p *permits) add(permit lane.Permit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held[permit.Call] = permit
}

func (p *permits) remove(call uuid.UUID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, call)
}

func (p *permits) all() []lane.Permit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.held))
}

// renew renews the permits held until ctx ends. It does not wait for the store:
// calls go on while that is away.
func (r *Runner) renew(ctx context.Context) {
	if r.cfg.Lanes == nil {
		return
	}
	tick := time.NewTicker(r.cfg.Pace.Stale)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		held := r.permits.all()
		if len(held) == 0 {
			continue
		}
		r.reportLanes(ctx, within(ctx, settleTimeout, func(ctx context.Context) error {
			return r.cfg.Lanes.Renew(ctx, held)
		}))
	}
}
