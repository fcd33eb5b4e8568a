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
	// told are the jobs and batches of which it was.
	told map[string]bool
	// failed counts how often a delivery was not taken in, by its id.
	failed map[string]int
	rand   *rand.Rand
}

// maxFailed is how often a delivery fails at the receiver, at most: the third attempt is
// within a minute of the first, the next one minutes later.
const maxFailed = 2

func newReceiver(t *testing.T, seed uint64) *receiver {
	t.Helper()
	r := &receiver{
		t: t, keys: map[string]webhooks.Key{}, told: map[string]bool{}, failed: map[string]int{},
		rand: rand.New(rand.NewPCG(seed, 2)),
	}
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
	tenant, id := strings.TrimPrefix(req.URL.Path, "/"), req.Header.Get(webhooks.HeaderID)
	key, how := r.meet(tenant, id)
	if err := webhooks.Verify(req.Header, body, time.Now(), key); err != nil {
		r.t.Errorf("a webhook to %s: %v", tenant, err)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	switch how {
	case failing:
		w.WriteHeader(http.StatusInternalServerError)
	case cutting:
		panic(http.ErrAbortHandler)
	case silent: // took it in, and says so to nobody
		r.keep(tenant, id, body)
		panic(http.ErrAbortHandler)
	default:
		r.keep(tenant, id, body)
		w.WriteHeader(http.StatusNoContent)
	}
}

// mood is how a receiver meets a delivery.
type mood int

const (
	accepting mood = iota
	// failing answers 500, cutting cuts the connection, silent does so when it has taken
	// the delivery in.
	failing
	cutting
	silent
)

// meet returns what verifies the delivery, and how it is met.
func (r *receiver) meet(tenant, id string) (webhooks.Key, mood) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := accepting
	switch p := r.rand.Float64(); {
	case r.failed[id] == maxFailed, p >= 0.06:
	case p < 0.04:
		m = failing
	case p < 0.05:
		m = cutting
	default:
		m = silent
	}
	if m != accepting {
		r.failed[id]++
	}
	return r.keys[tenant], m
}

func (r *receiver) keep(tenant, id string, body []byte) {
	var event struct {
		Type string `json:"type"`
		Data struct {
			ID     string `json:"id"`
			Object string `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		r.t.Errorf("a webhook to %s: %v", tenant, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := history.Delivery{ID: id, Body: digest(body), Tenant: tenant, Type: event.Type}
	if event.Data.Object == "batch" {
		d.Batch = plain(event.Data.ID)
	} else {
		d.Job = event.Data.ID
	}
	r.told[d.Job+d.Batch] = true
	r.got = append(r.got, d)
}

func (r *receiver) knows(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[id]
}

func (r *receiver) deliveries() []history.Delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// tenants are those of the traffic.
var tenants = []string{"acme", "beta", "core", "dune"}

// hook makes an endpoint for each tenant of the traffic.
func (r *round) hook() {
	r.t.Helper()
	r.seen.Hooked = map[string]bool{}
	for _, tenant := range tenants {
		body := fmt.Sprintf(`{"url": %q, "types": ["job.*", "batch.*"]}`, r.receiver.URL+"/"+tenant)
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

// delivered waits until the receiver has been told of all jobs and batches.
func (r *round) delivered(h history.History) {
	r.t.Helper()
	// What failed last waits for a step of its schedule, and what a courier held that
	// died for the end of its lease.
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	for ; ctx.Err() == nil; pause(ctx, 100*time.Millisecond) {
		if !slices.ContainsFunc(h.Jobs, func(j history.Job) bool { return j.Batch == "" && !r.receiver.knows(j.ID) }) &&
			!slices.ContainsFunc(h.Kept, func(b history.KeptBatch) bool { return !r.receiver.knows(b.ID) }) {
			return
		}
	}
}
