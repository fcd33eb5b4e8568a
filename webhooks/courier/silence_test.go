//go:build !race

package courier

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// The same as in memory, on a real store and over HTTP: three days of silence.
func TestSimThreeDaysOfSilenceOnARealStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newStage(t)
		e := r.endpoint(delivery.Endpoint{URL: "http://a.example.com/", Concurrency: 1})
		began, down := time.Now(), 72*time.Hour
		r.answer = func(_ int, w http.ResponseWriter, _ *http.Request) {
			if time.Since(began) < down {
				w.WriteHeader(http.StatusBadGateway)
			}
		}
		c := r.run(seldom)
		var want []string
		for time.Since(began) < down+40*time.Minute {
			want = append(want, r.tell()...)
			c.Wake()
			time.Sleep(10 * time.Minute)
		}
		if n := r.statuses(e); n[delivery.StatusDelivered] != len(want) || len(n) != 1 {
			t.Fatalf("got %v of %d, want all delivered", n, len(want))
		}
		var got []string
		for _, m := range r.receipts() {
			if m.at.Sub(began) >= down {
				got = append(got, m.id)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %d after the return, want each of %d once, the oldest first", len(got), len(want))
		}
	})
}
