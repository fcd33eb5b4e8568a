package courier

import (
	"context"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func TestWhatIsDueIsDeliveredAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		e := r.store.endpoint(delivery.Endpoint{URL: "http://hooks.example.com/a"})
		var at []time.Duration
		began := time.Now()
		c := r.start(receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			r.mu.Lock()
			at = append(at, time.Since(began))
			r.mu.Unlock()
			w.WriteHeader(http.StatusNoContent)
		}))
		for _, wait := range []time.Duration{500 * time.Millisecond, 700 * time.Millisecond, time.Minute} {
			time.Sleep(wait)
			r.mu.Lock()
			began = time.Now()
			r.mu.Unlock()
			r.store.tell(e, 1)
			c.Wake()
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := r.store.count(); n[delivery.StatusDelivered] != 3 || len(n) != 1 {
			t.Fatalf("got %v, want all delivered", n)
		}
		if slices.Max(at) > 20*time.Millisecond {
			t.Errorf("took %v after the wake-up, want some milliseconds", at)
		}
	})
}

// An attempt that was made and an event that was told are no more than one each, however
// often the answers of the store are lost.
func TestAStoreWhoseAnswersAreLostCostsAttemptsAndNothingElse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		var n atomic.Int64
		r.store.after = func(string) error {
			if n.Add(1)%3 == 0 {
				return errAway
			}
			return nil
		}
		e := r.store.endpoint(delivery.Endpoint{URL: "http://hooks.example.com/a"})
		sent := map[string]int{}
		r.start(sends(func(_ context.Context, m delivery.Message) delivery.Attempt {
			r.mu.Lock()
			defer r.mu.Unlock()
			sent[m.ID]++
			return good
		}))
		ids := r.store.tell(e, 50)
		time.Sleep(5 * time.Minute)
		if n := r.store.count(); n[delivery.StatusDelivered] != 50 {
			t.Errorf("got %v, want 50 delivered", n)
		}
		for _, id := range ids {
			if sent[id.String()] != 1 {
				t.Errorf("delivery %s was sent %d times, want once: the answer that it is recorded was lost, no more", id, sent[id.String()])
			}
		}
	})
}
