package courier

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs/backoff"
	"github.com/penstock-dev/penstock/webhooks"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

const (
	// renewEvery is how often leases are renewed.
	renewEvery = delivery.LeaseMargin / 3
	// renewAtOnce bounds the leases that one call renews.
	renewAtOnce = 256
)

// held is an endpoint whose lease this process has.
type held struct {
	delivery.Leased

	keys []webhooks.Key
	// taken says that the lease is a new one: the state is what the store has.
	taken bool
	// seen is when the store had not been asked yet. The lease lasts for so long from
	// asked on, at least, which is the same or earlier.
	seen, asked time.Time
	lasts       time.Duration
}

// newHeld returns what is held of what the store gave when it was asked at a time.
func newHeld(l delivery.Leased, asked time.Time) *held {
	h := &held{Leased: l, seen: asked, asked: asked, lasts: timeout(l.Endpoint) + delivery.LeaseMargin}
	for _, s := range l.Secrets {
		key, err := webhooks.ParseKey(s.Key)
		if err == nil && (s.ExpiresAt.IsZero() || s.ExpiresAt.After(asked)) {
			h.keys = append(h.keys, key)
		}
	}
	return h
}

// after returns h, which was held after before. No lease gets shorter.
func (h *held) after(before *held) *held {
	if before != nil && before.asked.Add(before.lasts).After(h.asked.Add(h.lasts)) {
		h.asked, h.lasts = before.asked, before.lasts
	}
	return h
}

// lastsFor reports whether the lease lasts for d from now on. It goes by both clocks, and the
// faster one counts: the monotonic one stands still while a machine sleeps, the other one
// may be set.
func (h *held) lastsFor(d time.Duration, now time.Time) bool {
	passed := max(now.Sub(h.asked), now.Round(0).Sub(h.asked.Round(0)))
	return passed+d <= h.lasts
}

func timeout(e delivery.Endpoint) time.Duration {
	if e.Timeout == 0 {
		return delivery.DefaultTimeout
	}
	return e.Timeout
}

func concurrency(e delivery.Endpoint) int {
	if e.Concurrency == 0 {
		return delivery.DefaultConcurrency
	}
	return e.Concurrency
}

// renewals renews leases until ctx ends: all of them again and again, and at once those
// of endpoints that were changed.
func (c *Courier) renewals(ctx context.Context) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.renewAll(ctx, c.holding())
		case <-c.changes.poke:
			_ = backoff.Wait(ctx, c.changes.rest()) // ends early only with ctx, which the loop looks at
			c.renewAll(ctx, c.changed())
			c.changes.renewed()
		}
	}
}

func (c *Courier) renewAll(ctx context.Context, turns []*turn) {
	for some := range slices.Chunk(turns, renewAtOnce) {
		if err := c.renew(ctx, some); err != nil {
			c.report(ctx, err)
		}
	}
}

// renew renews some leases, and tells their turns. When the store cannot be reached they
// know nothing, and stop when their leases do.
func (c *Courier) renew(ctx context.Context, turns []*turn) error {
	ids := make([]uuid.UUID, len(turns))
	for i, t := range turns {
		ids[i] = t.id
	}
	asked := time.Now()
	leased, err := within(ctx, func(ctx context.Context) ([]delivery.Leased, error) {
		return c.cfg.Store.RenewEndpoints(ctx, c.cfg.Holder, ids, stamp(asked))
	})
	if c.reached(err); err != nil {
		return fmt.Errorf("renew the leases of %d endpoints: %w", len(ids), err)
	}
	by := make(map[uuid.UUID]delivery.Leased, len(leased))
	for _, l := range leased {
		by[l.ID] = l
	}
	for _, t := range turns {
		l, ok := by[t.id]
		t.mail.post(func(to *letters) {
			if to.lost = !ok; ok {
				to.held = newHeld(l, asked)
			}
		})
	}
	return nil
}

// release gives up what turns have given up. It is done once: a lease that could not be
// given up ends by itself, and may then be ours again.
func (c *Courier) release(ctx context.Context) {
	c.mu.Lock()
	ids := c.ended
	c.ended = nil
	c.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	_, err := within(ctx, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, c.cfg.Store.ReleaseEndpoints(ctx, c.cfg.Holder, ids)
	})
	if c.reached(err); err != nil {
		c.report(ctx, fmt.Errorf("give up the leases of %d endpoints: %w", len(ids), err))
	}
}
