package courier

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func TestManyEndpointsAndManyDeliveries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		began := time.Now()
		for i := range 2000 {
			r.store.tell(r.store.endpoint(delivery.Endpoint{URL: url(fmt.Sprint("e", i)), Tenant: fmt.Sprint("t", i%50)}), 1)
		}
		big := r.store.endpoint(delivery.Endpoint{URL: url("big"), Tenant: "big"})
		r.store.tell(big, 1500)
		c := r.start(s.see(0, func(ctx context.Context, _ delivery.Message) delivery.Attempt {
			return takes(ctx, 10*time.Millisecond, good)
		}))
		time.Sleep(30 * time.Second)
		if n := r.store.count(); n[delivery.StatusDelivered] != 3500 {
			t.Errorf("got %v, want all delivered", n)
		}
		for _, seen := range s.seen() {
			if took := seen.at.Sub(began); seen.url != big.URL && took > idleTime {
				t.Fatalf("%s waited %v for endpoints that have nothing more to do", seen.url, took)
			}
		}
		if n := s.most[big.URL]; n > 10 {
			t.Errorf("%d attempts at once", n)
		}
		time.Sleep(10 * time.Second)
		c.mu.Lock()
		held, left := len(c.turns), c.memory.left
		c.mu.Unlock()
		if held != 0 || left != maxBytes {
			t.Errorf("%d endpoints are still held, and %d of %d bytes are free", held, left, maxBytes)
		}
		for name, q := range c.slots.queues {
			if q.taken != 0 || len(q.waiting) != 0 {
				t.Errorf("%s: %d slots taken, %d wait", name, q.taken, len(q.waiting))
			}
		}
	})
}

// An endpoint to which something goes now and then is not taken and given up each time.
func TestATrickleIsServedUnderOneLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t), newSightings()
		e := r.store.endpoint(delivery.Endpoint{URL: url("a")})
		c := r.start(s.see(0, func(context.Context, delivery.Message) delivery.Attempt { return good }))
		for range 300 {
			r.store.tell(e, 1)
			c.Wake()
			time.Sleep(100 * time.Millisecond)
		}
		if n := r.store.called("ReleaseEndpoints"); n != 0 {
			t.Errorf("given up %d times meanwhile", n)
		}
		if n := r.store.called("SaveState"); n > 3 {
			t.Errorf("its state was written %d times, though nothing happened", n)
		}
		time.Sleep(time.Minute)
		if n := r.store.called("ReleaseEndpoints"); n != 1 {
			t.Errorf("given up %d times when nothing came any more, want once", n)
		}
	})
}
