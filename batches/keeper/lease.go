package keeper

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs/backoff"
)

const (
	// renewEvery is how often leases are renewed, safeFor how long after it was asked for a
	// lease is surely held.
	renewEvery = batches.LeaseTime / 3
	safeFor    = batches.LeaseTime - time.Second
	// storeTime bounds how long the store may take to answer about leases.
	storeTime = 2 * time.Second
)

// leases takes batches that nobody holds and begins their turns, until ctx ends.
func (k *Keeper) leases(ctx context.Context) {
	tick := time.NewTicker(k.cfg.Poll)
	defer tick.Stop()
	for {
		more, err := k.lease(ctx)
		if err != nil {
			k.report(ctx, fmt.Errorf("take batches: %w", err))
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.wake:
		}
	}
}

// lease takes what it may, and reports whether there may be more.
func (k *Keeper) lease(ctx context.Context) (more bool, err error) {
	limit := min(leaseAtOnce, maxHeld-len(k.held()))
	if limit == 0 || ctx.Err() != nil {
		return false, nil
	}
	asked := time.Now()
	within, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	leased, err := k.cfg.Store.LeaseBatches(within, k.cfg.Holder, limit)
	if err != nil {
		return false, err
	}
	for _, b := range leased {
		k.begin(ctx, b, asked)
	}
	return len(leased) == limit, nil
}

// begin begins the turn of a batch. One whose last turn has not quite ended waits for that.
func (k *Keeper) begin(ctx context.Context, b batches.Batch, asked time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := newTurn(k, b, asked)
	if before := k.turns[b.ID]; before != nil {
		before.next = t
		return
	}
	k.turns[b.ID] = t
	k.running.Go(func() {
		for next := t; next != nil; next = k.end(next) {
			next.run(ctx)
		}
	})
}

// end forgets a turn that has ended, and returns that which comes after it; nil: none.
func (k *Keeper) end(t *turn) (next *turn) {
	k.live.forget(t)
	k.mu.Lock()
	if next = t.next; next != nil {
		k.turns[t.id] = next
	} else {
		delete(k.turns, t.id)
	}
	if next == nil && !t.over && !t.lost.Load() {
		k.left = append(k.left, t.id)
	}
	held := len(k.turns)
	k.mu.Unlock()
	k.cfg.Observer.held(held)
	poke(k.wake)
	return next
}

// held lists what this process holds.
func (k *Keeper) held() []uuid.UUID {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Collect(maps.Keys(k.turns))
}

// renewals renews leases until ctx ends.
func (k *Keeper) renewals(ctx context.Context) {
	for backoff.Wait(ctx, renewEvery) == nil {
		ids := k.held()
		k.cfg.Observer.held(len(ids))
		if len(ids) == 0 {
			continue
		}
		if err := k.renew(ctx, ids); err != nil {
			k.report(ctx, fmt.Errorf("renew the leases of %d batches: %w", len(ids), err))
		}
	}
}

// renew renews leases. A turn whose lease is lost ends; when the store cannot be reached
// turns know nothing, and make no job once their lease may be over.
func (k *Keeper) renew(ctx context.Context, ids []uuid.UUID) error {
	asked := time.Now()
	within, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	renewed, err := k.cfg.Store.RenewBatches(within, k.cfg.Holder, ids)
	if err != nil {
		return err
	}
	still := make(map[uuid.UUID]bool, len(renewed))
	for _, b := range renewed {
		still[b.ID] = true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range ids {
		t := k.turns[id]
		switch {
		case t == nil:
		case still[id]:
			t.asked.Store(&asked)
		case !t.asked.Load().After(asked): // else it was leased anew since
			t.lose()
		}
	}
	return nil
}

// release gives up what this process holds. A lease that could not be given up ends by
// itself.
func (k *Keeper) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	k.mu.Lock()
	ids := k.left
	k.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	if err := k.cfg.Store.ReleaseBatches(ctx, k.cfg.Holder, ids); err != nil {
		k.report(ctx, fmt.Errorf("give up %d batches: %w", len(ids), err))
	}
}
