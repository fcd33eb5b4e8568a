package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/e2e/history"
	"github.com/penstock-dev/penstock/webhooks"
)

// receiver takes webhooks in at one path for each tenant. It is as unreliable as
// receivers are.
type receiver struct {
	*httptest.Server

	t  *testing.T
	mu sync.Mutex
	// keys verify what a tenant gets.
	keys map[string]webhooks.Key
	got  []history.Delivery
	// told are the jobs of which it was.
	told map[string]bool
	rand *rand.Rand
}

func newReceiver(t *testing.T, seed uint64) *receiver {
	t.Helper()
	r := &receiver{t: t, keys: map[string]webhooks.Key{}, told: map[string]bool{}, rand: rand.New(rand.NewPCG(seed, 2))}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// ServeHTTP accepts what is rightly signed, most of the time.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		return // the sender was killed
	}
	tenant := strings.TrimPrefix(req.URL.Path, "/")
	r.mu.Lock()
	key, mood := r.keys[tenant], r.rand.Float64()
	r.mu.Unlock()
	if err := webhooks.Verify(req.Header, body, time.Now(), key); err != nil {
		r.t.Errorf("a webhook to %s: %v", tenant, err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch {
	case mood < 0.04:
		w.WriteHeader(http.StatusInternalServerError)
	case mood < 0.05:
		panic(http.ErrAbortHandler) // cuts the connection
	case mood < 0.06: // took it in, and says so to nobody
		r.keep(tenant, req.Header.Get(webhooks.HeaderID), body)
		panic(http.ErrAbortHandler)
	default:
		r.keep(tenant, req.Header.Get(webhooks.HeaderID), body)
		w.WriteHeader(http.StatusNoContent)
	}
}

func (r *receiver) keep(tenant, id string, body []byte) {
	var event struct {
		Type string `json:"type"`
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		r.t.Errorf("a webhook to %s: %v", tenant, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.told[event.Data.ID] = true
	r.got = append(r.got, history.Delivery{
		ID: id, Body: digest(body), Tenant: tenant, Type: event.Type, Job: event.Data.ID,
	})
}

func (r *receiver) knows(job string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[job]
}

func (r *receiver) deliveries() []history.Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// hook makes an endpoint for each tenant of the traffic.
func (r *round) hook() {
	r.t.Helper()
	r.seen.Hooked = map[string]bool{}
	for _, tenant := range []string{"acme", "beta", "core", "dune"} {
		body := fmt.Sprintf(`{"url": %q, "types": ["job.*"]}`, r.receiver.URL+"/"+tenant)
		created := struct {
			Secret string `json:"secret"`
		}{}
		status, err := r.askInto(r.t.Context(), r.apis[0], &created, http.MethodPost, "/v1/webhook-endpoints", body, "Penstock-Tenant", tenant)
		if err != nil || status != http.StatusCreated {
			r.t.Fatalf("make an endpoint: %d, %v", status, err)
		}
		key, err := webhooks.ParseKey(created.Secret)
		if err != nil {
			r.t.Fatalf("the secret of an endpoint: %v", err)
		}
		r.receiver.mu.Lock()
		r.receiver.keys[tenant] = key
		r.receiver.mu.Unlock()
		r.seen.Hooked[tenant] = true
	}
}

// delivered waits until the receiver has been told of all jobs.
func (r *round) delivered(h history.History) {
	r.t.Helper()
	// What failed last waits for a step of its schedule, and what a courier held that
	// died for the end of its lease.
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	for ; ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		if !slices.ContainsFunc(h.Jobs, func(j history.Job) bool { return !r.receiver.knows(j.ID) }) {
			return
		}
	}
}
