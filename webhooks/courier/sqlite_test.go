package courier

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
	"github.com/penstock-dev/penstock/webhooks"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// stage is a rig over a real store, and a receiver that is reached by HTTP.
type stage struct {
	*rig

	store   *sqlite.Store
	service *jobs.Service
	// answer says how the receiver answers the nth request.
	answer func(n int, w http.ResponseWriter, r *http.Request)
	sender *delivery.Sender

	mu       sync.Mutex
	received []receipt
}

type receipt struct {
	id, path string
	body     string
	at       time.Time
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	catalog := jobs.NewCatalog(nil, map[string][]string{"sim": {"m"}}, jobs.Route{MaxAttempts: 1, Timeouts: jobs.DefaultTimeouts()})
	r := &stage{rig: newRig(t), store: s, service: jobs.NewService(s, queuetest.New(), catalog)}
	key, err := webhooks.ParseKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	r.sender = receiver(t, func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		if err := webhooks.Verify(q.Header, body, time.Now(), key); err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.received = append(r.received, receipt{q.Header.Get(webhooks.HeaderID), q.URL.Path, string(body), time.Now()})
		n := len(r.received)
		r.mu.Unlock()
		if r.answer != nil {
			r.answer(n, w, q)
		}
	})
	return r
}

func (r *stage) run(adjust ...func(*Config)) *running {
	r.t.Helper()
	return r.start(r.sender, append([]func(*Config){func(c *Config) { c.Store = r.store }}, adjust...)...)
}

func (r *stage) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *stage) endpoint(e delivery.Endpoint) delivery.Endpoint {
	r.t.Helper()
	now := stamp(time.Now())
	e.ID, e.Tenant, e.Version, e.CreatedAt, e.ChangedAt = uuid.Must(uuid.NewV7()), "acme", 1, now, now
	r.must(r.store.CreateEndpoint(r.t.Context(), e, delivery.Secret{
		ID: uuid.Must(uuid.NewV7()), Tenant: e.Tenant, Owner: e.ID, Key: secret, CreatedAt: now,
	}))
	return e
}

// tell tells of an event of no job and returns its deliveries' ids.
func (r *stage) tell() []string {
	r.t.Helper()
	now := stamp(time.Now())
	id, err := delivery.NewEventID(now)
	r.must(err)
	made, err := r.store.Tell(r.t.Context(), delivery.Event{
		ID: id, Tenant: "acme", Type: delivery.LaneOpened, Data: json.RawMessage(`{"object":"lane"}`), CreatedAt: now,
		Trigger: delivery.TriggerEvent,
	})
	r.must(err)
	ids := make([]string, len(made))
	for i, d := range made {
		ids[i] = d.ID.String()
	}
	return ids
}

// end makes a job and ends it as cancelled.
func (r *stage) end() jobs.Job {
	r.t.Helper()
	made, err := r.service.Submit(r.t.Context(), jobs.NewJob{
		Tenant: "acme", Request: json.RawMessage(`{"model":"sim/m","messages":[{"role":"user","content":"hi"}]}`), NoDedupe: true, Metadata: map[string]string{"order": "7"},
	})
	r.must(err)
	j, err := r.service.Cancel(r.t.Context(), "acme", made.Job.ID)
	r.must(err)
	return j
}

func (r *stage) receipts() []receipt {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.received)
}

// statuses counts an endpoint's deliveries.
func (r *stage) statuses(e delivery.Endpoint) map[delivery.Status]int {
	r.t.Helper()
	n := map[delivery.Status]int{}
	q := delivery.Query{Tenant: e.Tenant, Endpoint: e.ID, Limit: 500}
	for {
		page, err := r.store.Deliveries(r.t.Context(), q)
		r.must(err)
		for _, d := range page {
			n[d.Status]++
			q.Before = d.ID
		}
		if len(page) < q.Limit {
			return n
		}
	}
}

// Invariant 4: the event of a job's end reaches each endpoint that wants it, with a body
// that is the same at each attempt.
func TestTheEndOfAJobReachesItsEndpoints(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newStage(t)
		r.endpoint(delivery.Endpoint{URL: "http://a.example.com/a"})
		r.endpoint(delivery.Endpoint{URL: "http://b.example.com/b", Types: []string{delivery.JobCancelled}, Metadata: map[string]string{"order": "7"}})
		r.endpoint(delivery.Endpoint{URL: "http://c.example.com/c", Types: []string{delivery.JobFailed}})
		r.answer = func(n int, w http.ResponseWriter, _ *http.Request) {
			if n <= 2 {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}
		c := r.run()
		time.Sleep(10 * time.Second)
		began := time.Now()
		j := r.end()
		c.Wake()
		time.Sleep(time.Minute)
		got := r.receipts()
		bodies, paths := map[string]string{}, map[string]int{}
		for i, m := range got {
			if late := m.at.Sub(began); i < 2 && late > 50*time.Millisecond {
				t.Errorf("the first attempt was %v after the wake-up", late)
			}
			if before, ok := bodies[m.id]; ok && before != m.body {
				t.Errorf("two bodies of one id: %s and %s", before, m.body)
			}
			bodies[m.id] = m.body
			paths[m.path]++
		}
		if len(got) != 4 || len(bodies) != 2 || paths["/a"] != 2 || paths["/b"] != 2 {
			t.Fatalf("received %v, want two at each of two endpoints", paths)
		}
		for id, body := range bodies {
			if !strings.Contains(body, j.ID.String()) || !strings.Contains(body, `"type":"job.cancelled"`) {
				t.Errorf("delivery %s has the body %s", id, body)
			}
		}
	})
}

// Events gone while an endpoint was disabled (outpost #611): they are kept as skipped, and
// a replay sends them, the oldest first.
func TestEventsOfADisabledEndpointAreSkippedAndCanBeReplayed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newStage(t)
		e := r.endpoint(delivery.Endpoint{URL: "http://a.example.com/"})
		gone := true
		r.answer = func(_ int, w http.ResponseWriter, _ *http.Request) {
			if gone {
				w.WriteHeader(http.StatusGone)
			} else {
				time.Sleep(100 * time.Millisecond)
			}
		}
		c := r.run()
		r.tell() // disables it
		time.Sleep(time.Minute)
		for range 49 {
			r.tell()
			time.Sleep(time.Second)
		}
		if n := r.statuses(e); n[delivery.StatusSkipped] != 50 || len(r.receipts()) != 1 {
			t.Fatalf("got %v after %d attempts, want all skipped after one", n, len(r.receipts()))
		}
		gone = false
		w, err := r.store.Endpoint(t.Context(), e.Tenant, e.ID)
		r.must(err)
		w.Disabled = ""
		r.must(r.store.UpdateEndpoint(t.Context(), w.Endpoint))
		live := r.tell()
		_, err = r.store.StartReplay(t.Context(), delivery.Replay{
			ID: uuid.Must(uuid.NewV7()), Tenant: e.Tenant, Endpoint: e.ID, Statuses: []delivery.Status{delivery.StatusSkipped},
			Status: delivery.ReplayRunning, CreatedAt: stamp(time.Now()),
		})
		r.must(err)
		c.Changed(e.ID)
		time.Sleep(time.Minute)
		if n := r.statuses(e); n[delivery.StatusDelivered] != 51 {
			t.Fatalf("got %v, want all delivered", n)
		}
		sent := r.receipts()[1:]
		i := slices.IndexFunc(sent, func(m receipt) bool { return m.id == live[0] })
		if late := sent[i].at.Sub(sent[0].at); late > 0 {
			t.Errorf("what has just happened was the %dth of those sent, %s behind the replay", i+1, late)
		}
		replays, err := r.store.Replays(t.Context(), e.Tenant, e.ID)
		r.must(err)
		if len(replays) != 1 || replays[0].Status != delivery.ReplayFinished || replays[0].Delivered != 50 {
			t.Errorf("the replay is %+v, want it finished with 50 delivered", replays)
		}
	})
}

// One courier dies in the middle, and two go on. Every event arrives, few are sent twice,
// and never more at once than the endpoint takes.
func TestCouriersTakeOverFromOneThatDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newStage(t)
		e := r.endpoint(delivery.Endpoint{URL: "http://a.example.com/", Concurrency: 4, Timeout: 5 * time.Second})
		var mu sync.Mutex
		live, most := 0, 0
		r.answer = func(_ int, _ http.ResponseWriter, q *http.Request) {
			mu.Lock()
			live++
			most = max(most, live)
			mu.Unlock()
			select {
			case <-time.After(200 * time.Millisecond):
			case <-q.Context().Done():
			}
			mu.Lock()
			live--
			mu.Unlock()
		}
		for range 600 {
			r.tell()
		}
		cut := new(atomicBool)
		r.run(func(c *Config) { c.Store = cutOff{r.store, cut} })
		time.Sleep(10*time.Second + 70*time.Millisecond)
		cut.set(true)
		died := time.Now()
		r.run()
		r.run()
		time.Sleep(time.Minute)
		if n := r.statuses(e); n[delivery.StatusDelivered] != 600 || len(n) != 1 {
			t.Errorf("got %v, want all delivered", n)
		}
		all := r.receipts()
		i := slices.IndexFunc(all, func(m receipt) bool { return m.at.Sub(died) > time.Second })
		if over := all[i].at.Sub(died); over > 5*time.Second+delivery.LeaseMargin+2*time.Second {
			t.Errorf("taken over after %v, want the timeout and %v", over, delivery.LeaseMargin)
		}
		// What was under way, and what began before anybody could know that the store is gone.
		if twice := len(all) - 600; twice > 8 || most > 4 {
			t.Errorf("%d were sent twice, want 8 at most, and %d at once, want 4", twice, most)
		}
	})
}

func TestAFloodIsDeliveredInOrderAndOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newStage(t)
		e := r.endpoint(delivery.Endpoint{URL: "http://a.example.com/", Concurrency: 1})
		var want []string
		for range 500 {
			want = append(want, r.tell()...)
			time.Sleep(time.Millisecond)
		}
		r.run()
		time.Sleep(time.Minute)
		if n := r.statuses(e); n[delivery.StatusDelivered] != len(want) {
			t.Fatalf("got %v, want all delivered", n)
		}
		var got []string
		for _, m := range r.receipts() {
			got = append(got, m.id)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d were received, want each of %d once, in order", len(got), len(want))
		}
	})
}

// cutOff is a store as a process sees it that may be cut off from it.
type cutOff struct {
	delivery.CourierStore

	cut *atomicBool
}

func (c cutOff) err() error {
	if c.cut.get() {
		return errAway
	}
	return nil
}

func (c cutOff) LeaseEndpoints(ctx context.Context, holder uuid.UUID, now time.Time, limit int) ([]delivery.Leased, error) {
	if err := c.err(); err != nil {
		return nil, err
	}
	return c.CourierStore.LeaseEndpoints(ctx, holder, now, limit)
}

func (c cutOff) RenewEndpoints(ctx context.Context, holder uuid.UUID, ids []uuid.UUID, now time.Time) ([]delivery.Leased, error) {
	if err := c.err(); err != nil {
		return nil, err
	}
	return c.CourierStore.RenewEndpoints(ctx, holder, ids, now)
}

func (c cutOff) ReleaseEndpoints(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) error {
	if err := c.err(); err != nil {
		return err
	}
	return c.CourierStore.ReleaseEndpoints(ctx, holder, ids)
}

func (c cutOff) Due(ctx context.Context, endpoint uuid.UUID, now time.Time, limit int) ([]delivery.Due, error) {
	if err := c.err(); err != nil {
		return nil, err
	}
	return c.CourierStore.Due(ctx, endpoint, now, limit)
}

func (c cutOff) Record(ctx context.Context, records []delivery.Record) error {
	if err := c.err(); err != nil {
		return err
	}
	return c.CourierStore.Record(ctx, records)
}

func (c cutOff) SaveState(ctx context.Context, holder uuid.UUID, change delivery.StateChange) error {
	if err := c.err(); err != nil {
		return err
	}
	return c.CourierStore.SaveState(ctx, holder, change)
}
