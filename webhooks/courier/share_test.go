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

// However many tenants' endpoints hang, what goes to another tenant's waits for none of
// them.
func TestManyTenantsThatHangHoldNobodyUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { holdNobodyUp(t, 10) })
}

// holdNobodyUp has forty endpoints of four tenants hang, each with twenty results of size
// bytes to get.
func holdNobodyUp(t *testing.T, size int) {
	t.Helper()
	const tenants, each = 4, 10
	r := newRig(t)
	result := json.RawMessage(`"` + strings.Repeat("x", size) + `"`)
	for i := range tenants * each {
		e := r.store.endpoint(delivery.Endpoint{
			URL: url(fmt.Sprint("hangs", i)), Tenant: fmt.Sprint("hangs", i%tenants), IncludeResult: true, Timeout: 30 * time.Second,
		})
		for range 20 {
			r.store.ended(e, result)
		}
	}
	other := r.store.endpoint(delivery.Endpoint{URL: url("good"), Tenant: "good", IncludeResult: true})
	c := r.start(sends(func(ctx context.Context, m delivery.Message) delivery.Attempt {
		if m.URL == other.URL {
			return good
		}
		return hangs(ctx, m)
	}))
	const sent = 50
	for range sent {
		time.Sleep(400 * time.Millisecond)
		r.store.ended(other, result)
		c.Wake()
	}
	time.Sleep(time.Second)
	n, longest := 0, time.Duration(0)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, a := range r.attempted {
		if a.Endpoint == other.ID {
			n, longest = n+1, max(longest, a.Lag)
		}
	}
	if n != sent || longest > 200*time.Millisecond {
		t.Errorf("%d of %d were sent, after %v at most", n, sent, longest)
	}
}
