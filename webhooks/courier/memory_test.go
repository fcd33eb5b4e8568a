package courier

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Large bodies are bounded in memory, and so is what waits to be recorded.
func TestLargeBodiesAreReadInSmallNumbers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a"), IncludeResult: true, Concurrency: 2})
		result := json.RawMessage(`"` + strings.Repeat("x", delivery.MaxResult-2) + `"`)
		for range 40 {
			r.store.ended(e, result)
		}
		c := r.start(s.see(0, func(ctx context.Context, _ delivery.Message) delivery.Attempt {
			return takes(ctx, 100*time.Millisecond, good)
		}))
		least := int64(maxBytes)
		for range 40 {
			time.Sleep(60 * time.Millisecond)
			c.memory.mu.Lock()
			least = min(least, c.memory.left)
			c.memory.mu.Unlock()
		}
		if used := maxBytes - least; used > 3*maxTurnBytes {
			t.Errorf("%d bytes were in use for one endpoint", used)
		}
		if n := r.store.count(); n[delivery.StatusDelivered] != 40 {
			t.Errorf("got %v, want all delivered", n)
		}
	})
}

// A turn that is ending keeps no slot that it waited for and cannot use.
func TestATurnThatEndsKeepsNoSlot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a"), Timeout: time.Minute})
		c := r.start(s.see(0, func(ctx context.Context, _ delivery.Message) delivery.Attempt {
			return takes(ctx, 40*time.Second, good)
		}), func(c *Config) { c.Queues = Queues{Live: 2, Slow: 1, Bulk: 1} })
		r.store.tell(e, 3)
		c.Wake()
		time.Sleep(100 * time.Millisecond) // one of two is under way, and one waits for its tenant's share
		c.each(func(t *turn) { t.mail.post(func(to *letters) { to.stop = true }) })
		time.Sleep(2 * time.Second) // the slot has gone to the slow queue, and a live one is granted
		c.slots.mu.Lock()
		taken := c.slots.queues[Live].taken
		c.slots.mu.Unlock()
		if taken != 0 {
			t.Errorf("%d live slots are taken by a turn that begins nothing any more", taken)
		}
	})
}
