//go:build !race

package courier

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func TestManyTenantsThatHangWithLargeResultsHoldNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { holdNobodyUp(t, delivery.MaxResult-2) })
}

// Large results behind small ones, and large ones of many endpoints at once, are bounded
// in memory all the same; and what one tenant's endpoints do not take leaves room for
// what others get.
func TestLargeBodiesOfOneTenantLeaveRoomForOthers(t *testing.T) {
	t.Parallel()
	for name, small := range map[string]int{"large": 0, "small, then large": 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, s := newRig(t), newSightings()
				large := json.RawMessage(`"` + strings.Repeat("x", delivery.MaxResult-2) + `"`)
				for i := range 20 {
					e := r.store.endpoint(delivery.Endpoint{URL: url(fmt.Sprint("hangs", i)), Tenant: "a", IncludeResult: true})
					for range small {
						r.store.ended(e, json.RawMessage(`1`))
					}
					for range 20 {
						r.store.ended(e, large)
					}
				}
				other := r.store.endpoint(delivery.Endpoint{URL: url("good"), Tenant: "b", IncludeResult: true})
				c := r.start(s.see(0, func(ctx context.Context, m delivery.Message) delivery.Attempt {
					if m.URL == other.URL || len(m.Body) < 1000 {
						return good
					}
					return hangs(ctx, m)
				}))
				least := int64(maxBytes)
				for range 50 {
					r.store.ended(other, large)
					c.Wake()
					time.Sleep(500 * time.Millisecond)
					c.memory.mu.Lock()
					least = min(least, c.memory.left)
					c.memory.mu.Unlock()
				}
				if least < 0 {
					t.Errorf("%d bytes more were in use than there may be", -least)
				}
				n := 0
				for _, seen := range s.seen() {
					if seen.url == other.URL {
						n++
					}
				}
				if n < 49 {
					t.Errorf("the other tenant's endpoint got %d of 50 meanwhile", n)
				}
			})
		})
	}
}
