package courier

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Somebody who changes endpoints, or redelivers, as fast as they can keeps nothing from
// being sent: neither to others nor to the endpoints that they change.
func TestChangesAllTheTimeKeepNothingFromBeingSent(t *testing.T) {
	t.Parallel()
	for _, named := range []bool{true, false} {
		t.Run(fmt.Sprint("named ", named), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, s := newRig(t), newSightings()
				r.store.after = func(string) error { time.Sleep(20 * time.Millisecond); return nil }
				changed := r.store.endpoint(delivery.Endpoint{URL: url("a"), Tenant: "a"})
				other := r.store.endpoint(delivery.Endpoint{URL: url("b"), Tenant: "b"})
				c := r.start(s.see(0, func(context.Context, delivery.Message) delivery.Attempt { return good }))
				var which []uuid.UUID
				if named {
					which = append(which, changed.ID)
				}
				for range 2000 { // for 20 s
					r.store.tell(changed, 1)
					r.store.tell(other, 1)
					c.Wake()
					c.Changed(which...)
					time.Sleep(10 * time.Millisecond)
				}
				got := map[string]int{}
				for _, seen := range s.seen() {
					got[seen.url]++
				}
				if got[changed.URL] < 1800 || got[other.URL] < 1800 {
					t.Errorf("%v of 2000 were sent meanwhile", got)
				}
				calls := r.store.called("RenewEndpoints")
				if calls > 300 {
					t.Errorf("leases were renewed %d times in 20 s", calls)
				}
			})
		})
	}
}

// Who rotates a secret twice and tests it each time is signed for with the newest one:
// some changes in a row count at once, and only then are they spaced out.
func TestAFewChangesCountAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, id := newChanges(), []uuid.UUID{uuid.New()}
		for n := range changesBurst {
			if !c.add(id, time.Now()) || c.rest() > 0 {
				t.Fatalf("change %d has to wait for %v", n+1, c.rest())
			}
			c.take()
			c.renewed()
		}
		if c.add(id, time.Now()) || c.rest() != changesEvery {
			t.Errorf("one more waits for %v, want %v", c.rest(), changesEvery)
		}
		time.Sleep(changesEvery)
		if !c.add(id, time.Now()) {
			t.Error("one that has waited has to wait longer")
		}
	})
}
