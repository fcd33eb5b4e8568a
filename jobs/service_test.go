package jobs_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

// newService returns a service over a real store, and the store.
func newService(t *testing.T) (*jobs.Service, jobs.Store) {
	t.Helper()
	var store jobs.Store
	s := newServiceOn(t, func(below jobs.Store) jobs.Store {
		store = below
		return below
	})
	return s, store
}

// newServiceOn returns a service over what is put before a real store.
func newServiceOn(t *testing.T, put func(jobs.Store) jobs.Store, options ...jobs.ServiceOption) *jobs.Service {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	signals := queuetest.New()
	catalog := jobs.NewCatalog(
		[]jobs.Route{{Name: "default", Targets: []jobs.Target{{Provider: "sim", Model: "sim-1"}}, MaxAttempts: 1}},
		map[string][]string{"sim": {"sim-1"}}, jobs.Route{MaxAttempts: 1})
	return jobs.NewService(put(store), signals, catalog, options...)
}

const hello = `{"model":"default","messages":[{"role":"user","content":"hi"}]}`

func newJob(body string) jobs.NewJob {
	return jobs.NewJob{Tenant: "acme", Request: json.RawMessage(body)}
}

func mustSubmit(t *testing.T, s *jobs.Service, n jobs.NewJob) jobs.Job {
	t.Helper()
	done, err := s.Submit(t.Context(), n)
	if err != nil {
		t.Fatalf("submit: %v", err)
	}
	return done.Job
}

func TestSubmitNamesTheFieldAtFault(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	with := func(change func(*jobs.NewJob)) jobs.NewJob {
		n := newJob(hello)
		change(&n)
		return n
	}
	for pointer, n := range map[string]jobs.NewJob{
		"/request":          newJob(`[]`),
		"/request/model":    newJob(`{"messages":[{}]}`),
		"/request/messages": newJob(`{"model":"default","messages":[]}`),
		"/request/max_tokens": newJob(
			`{"model":"default","messages":[{}],"max_tokens":"many"}`),
		"/request/input": with(func(n *jobs.NewJob) { n.Endpoint = providers.Embeddings }),
		"/request/max_output_tokens": with(func(n *jobs.NewJob) {
			n.Endpoint, n.Request = providers.Responses, []byte(`{"model":"default","input":"x","max_output_tokens":"many"}`)
		}),
		"/endpoint":      with(func(n *jobs.NewJob) { n.Endpoint = "/v1/images" }),
		"/deadline":      with(func(n *jobs.NewJob) { n.Deadline = time.Now().Add(-time.Second) }),
		"/timeout":       with(func(n *jobs.NewJob) { n.Timeout = jobs.MaxTimeout + 1 }),
		"/sample":        with(func(n *jobs.NewJob) { n.Sample = -1 }),
		"/cache/max_age": with(func(n *jobs.NewJob) { n.MaxAge = -1 }),
		"/user":          with(func(n *jobs.NewJob) { n.User = strings.Repeat("u", 257) }),
		"/metadata/a~1b": with(func(n *jobs.NewJob) { n.Metadata = map[string]string{"a/b": strings.Repeat("v", 513)} }),
		"/metadata":      with(func(n *jobs.NewJob) { n.Metadata = map[string]string{"": "v"} }),
		"/request/seed":  newJob(`{"model":"default","messages":[{}],"seed":9007199254740993}`),
	} {
		_, err := s.Submit(t.Context(), n)
		e, ok := errors.AsType[*jobs.Error](err)
		if !ok || e.Code != jobs.CodeInvalidField || e.Pointer != pointer {
			t.Errorf("got %v, want invalid_field at %s", err, pointer)
		}
	}
	for _, c := range []struct{ endpoint, body, pointer string }{
		{providers.Responses, `{"model":"default"}`, "/request/input"},
		{providers.Responses, `{"model":"default","input":7}`, "/request/input"},
		{providers.Messages, `{"model":"default","max_tokens":1}`, "/request/messages"},
		{providers.Messages, `{"model":"default","messages":[{}]}`, "/request/max_tokens"},
	} {
		n := newJob(c.body)
		n.Endpoint = c.endpoint
		_, err := s.Submit(t.Context(), n)
		if e, ok := errors.AsType[*jobs.Error](err); !ok || e.Pointer != c.pointer {
			t.Errorf("%s %s: got %v, want invalid_field at %s", c.endpoint, c.body, err, c.pointer)
		}
	}
	_, err := s.Submit(t.Context(), newJob(`{"model":"nope","messages":[{}]}`))
	if e, ok := errors.AsType[*jobs.Error](err); !ok || e.Code != jobs.CodeUnknownModel || !strings.Contains(e.Message, "default, sim/sim-1") {
		t.Errorf("got %v, want unknown_model naming what exists", err)
	}
}

func TestSubmitFillsIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := newService(t)
		job := mustSubmit(t, s, newJob(hello))
		if job.Endpoint != providers.ChatCompletions || job.Status != jobs.StatusQueued || len(job.RequestHash) != 64 {
			t.Errorf("got %+v", job)
		}
		if want := job.CreatedAt.Add(jobs.DefaultTimeout); !job.Deadline.Equal(want) {
			t.Errorf("deadline: got %s, want %s", job.Deadline, want)
		}
		twin := mustSubmit(t, s, newJob(hello))
		if !twin.Deduplicated || twin.ExecutionID != job.ExecutionID || twin.ID == job.ID {
			t.Errorf("an equal job: got %+v", twin)
		}
	})
}

// A waiter is woken by the signal, and finds out without one.
func TestWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, store := newService(t)
		job := mustSubmit(t, s, newJob(hello))
		go func() {
			if err := s.Run(t.Context()); err != nil {
				t.Error(err)
			}
		}()

		begin := time.Now()
		got, err := s.Wait(t.Context(), "acme", job.ID, 10*time.Second)
		if err != nil || got.Status != jobs.StatusQueued || time.Since(begin) != 10*time.Second {
			t.Errorf("a job that goes on: got %s after %s (%v), want queued after 10 s", got.Status, time.Since(begin), err)
		}
		if _, err := s.Wait(t.Context(), "other", job.ID, time.Second); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("another tenant's job: got %v, want not found", err)
		}

		time.AfterFunc(time.Second, func() {
			if _, err := s.Cancel(t.Context(), "acme", job.ID); err != nil {
				t.Error(err)
			}
		})
		begin = time.Now()
		got, err = s.Wait(t.Context(), "acme", job.ID, time.Minute)
		if err != nil || got.Status != jobs.StatusCancelled || time.Since(begin) != time.Second {
			t.Errorf("cancelled: got %s after %s (%v), want cancelled after 1 s", got.Status, time.Since(begin), err)
		}

		silent := mustSubmit(t, s, newJob(hello))
		time.AfterFunc(time.Second, func() {
			if _, _, err := store.Cancel(t.Context(), "acme", silent.ID, time.Now().UTC()); err != nil {
				t.Error(err)
			}
		})
		begin = time.Now()
		got, err = s.Wait(t.Context(), "acme", silent.ID, time.Minute)
		if err != nil || got.Status != jobs.StatusCancelled || time.Since(begin) > 4*time.Second {
			t.Errorf("without a signal: got %s after %s (%v), want cancelled within 4 s", got.Status, time.Since(begin), err)
		}
	})
}

func TestRetry(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	first := newJob(hello)
	first.Metadata, first.User, first.Priority, first.Timeout = map[string]string{"k": "v"}, "u", jobs.PriorityHigh, time.Hour
	first.Sample, first.Batch, first.Response = 3, uuid.New(), true
	job := mustSubmit(t, s, first)
	if job.Batch != first.Batch {
		t.Errorf("batch: got %s, want %s", job.Batch, first.Batch)
	}
	if _, err := s.Retry(t.Context(), "acme", job.ID); !errors.Is(err, jobs.ErrNotEnded) {
		t.Errorf("a live job: got %v, want a conflict", err)
	}
	if _, err := s.Cancel(t.Context(), "acme", job.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Retry(t.Context(), "other", job.ID); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("another tenant: got %v, want not found", err)
	}
	again, err := s.Retry(t.Context(), "acme", job.ID)
	if err != nil {
		t.Fatal(err)
	}
	got := again.Job
	if got.ID == job.ID || got.RequestHash != job.RequestHash || got.Metadata["k"] != "v" || got.User != "u" ||
		got.Priority != jobs.PriorityHigh || got.Deadline.Sub(got.CreatedAt) != time.Hour || got.Status != jobs.StatusQueued {
		t.Errorf("got %+v", got)
	}
	if !job.Response || !got.Response {
		t.Errorf("told as a response: got %t, and %t of the retry", job.Response, got.Response)
	}
	if got.Batch != uuid.Nil {
		t.Error("a retry by hand is the batch's")
	}
	if got.Ephemeral {
		t.Error("the retry of a job that is kept is ephemeral")
	}
}

// What was not to be stored is not stored because it is asked again.
func TestARetryIsAsEphemeralAsItsJob(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	first := newJob(hello)
	first.Ephemeral = true
	job := mustSubmit(t, s, first)
	if _, err := s.Cancel(t.Context(), "acme", job.ID); err != nil {
		t.Fatal(err)
	}
	again, err := s.Retry(t.Context(), "acme", job.ID)
	if err != nil || !again.Job.Ephemeral {
		t.Errorf("got %+v, %v, want an ephemeral job", again.Job, err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	s, _ := newService(t)
	var ids []uuid.UUID
	for range 3 {
		ids = append(ids, mustSubmit(t, s, newJob(hello)).ID)
	}
	page, more, err := s.List(t.Context(), jobs.JobQuery{Tenant: "acme", Limit: 2})
	if err != nil || !more || len(page) != 2 || page[0].ID != ids[2] {
		t.Fatalf("first page: got %d jobs, more %v (%v)", len(page), more, err)
	}
	page, more, err = s.List(t.Context(), jobs.JobQuery{Tenant: "acme", Limit: 2, Before: page[1].ID})
	if err != nil || more || len(page) != 1 || page[0].ID != ids[0] {
		t.Fatalf("second page: got %d jobs, more %v (%v)", len(page), more, err)
	}
}

func TestAnAcceptedSubmissionIsReplayedAfterItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, store := newService(t)
		n := newJob(hello)
		n.Deadline = time.Now().Add(time.Hour)
		n.IdempotencyKey, n.Fingerprint = "k", [32]byte{1}
		first := mustSubmit(t, s, n)
		time.Sleep(2 * time.Hour)

		again, err := s.Submit(t.Context(), n)
		if err != nil || !again.Replayed || again.Job.ID != first.ID {
			t.Errorf("repeated: %+v, %v; want job %s, replayed", again, err, first.ID)
		}
		other := n
		other.Fingerprint = [32]byte{2}
		if _, err := s.Submit(t.Context(), other); !errors.Is(err, jobs.ErrIdempotencyMismatch) {
			t.Errorf("another submission: %v", err)
		}
		other.IdempotencyKey = "l"
		var invalid *jobs.Error
		if _, err := s.Submit(t.Context(), other); !errors.As(err, &invalid) || invalid.Code != jobs.CodeInvalidField {
			t.Errorf("under a new key: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// asked counts what a store is asked.
type asked struct {
	jobs.Store

	jobs, standings atomic.Int64
}

func (a *asked) Job(ctx context.Context, tenant string, id uuid.UUID) (jobs.Job, error) {
	a.jobs.Add(1)
	return a.Store.Job(ctx, tenant, id)
}

func (a *asked) Standings(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]jobs.Standing, error) {
	a.standings.Add(1)
	return a.Store.Standings(ctx, ids)
}

func TestManyWaitersAreOneQuestion(t *testing.T) {
	t.Parallel()
	const waiters = 100
	synctest.Test(t, func(t *testing.T) {
		_, store := newService(t)
		counting := &asked{Store: store}
		s := jobs.NewService(counting, queuetest.New(), jobs.NewCatalog(
			[]jobs.Route{{Name: "default", Targets: []jobs.Target{{Provider: "sim", Model: "sim-1"}}}}, nil, jobs.Route{}))
		ctx, stop := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() { _ = s.Run(ctx) })
		id := mustSubmit(t, s, newJob(hello)).ID
		for range waiters {
			all.Go(func() {
				if j, err := s.Wait(t.Context(), "acme", id, time.Minute); err != nil || j.Status != jobs.StatusCancelled {
					t.Errorf("wait: %s, %v", j.Status, err)
				}
			})
		}
		time.Sleep(31 * time.Second)
		// Each has looked when it came and when the first look at all told it
		// more than it knew; since then one question serves them all.
		if asked := counting.jobs.Load(); asked > 2*waiters+1 {
			t.Errorf("%d waiters asked for the job %d times", waiters, asked)
		}
		if asked := counting.standings.Load(); asked != 15 {
			t.Errorf("asked for standings %d times in 30 s, want once every 2 s", asked)
		}
		// No signal tells of this end.
		if _, _, err := store.Cancel(t.Context(), "acme", id, time.Now().UTC()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		stop()
		all.Wait()
		if late := time.Since(begun); late > 2*time.Second {
			t.Errorf("the waiters heard of the end after %v", late)
		}
	})
}

// What a watcher was told of fairness is no change each time all jobs are looked
// at, where that is told as capacity.
func TestFairnessIsNoChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, store := newService(t)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = s.Run(ctx) })
		id := mustSubmit(t, s, newJob(hello)).ID
		if err := store.SetFlows(t.Context(), []jobs.Flow{
			{Tenant: "acme", Route: "default", WaitingOn: jobs.WaitingOnFairness},
		}, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		watch := s.Watch(id)
		defer watch.Stop()
		job, err := s.Job(t.Context(), "acme", id)
		if err != nil || job.WaitingOn != jobs.WaitingOnFairness || job.Position != 1 {
			t.Fatalf("job waits on %s in place %d, %v; want fairness, 1", job.WaitingOn, job.Position, err)
		}
		watch.Saw(job)
		time.Sleep(time.Minute)
		select {
		case <-watch.C:
			t.Error("woken by a job that has not changed")
		default:
		}
		stop()
		running.Wait()
	})
}

// answer runs the one execution that is ready.
func answer(t *testing.T, store jobs.Store) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	worker := jobs.Worker{ID: uuid.New(), Name: "hand"}
	_, err := store.Beat(t.Context(), worker, nil)
	must(err)
	for _, p := range jobs.Priorities() {
		ready, err := store.Ready(t.Context(), jobs.ReadyQuery{
			Route: "default", Priority: p, Now: time.Now(), Tenants: 9, PerTenant: 9,
		})
		must(err)
		for _, c := range ready {
			tasks, err := store.Release(t.Context(), []jobs.Release{
				{Execution: c.Execution, Fence: c.Fence, Provider: "sim", Model: "sim-1"},
			}, time.Now())
			must(err)
			w, err := store.Claim(t.Context(), jobs.Claim{
				Task: tasks[0], Worker: worker.ID, Call: uuid.Must(uuid.NewV7()), At: time.Now(),
			})
			must(err)
			_, err = store.Finish(t.Context(), jobs.Outcome{
				Task: w.Task, Status: jobs.StatusSucceeded, Result: json.RawMessage(`{}`), At: time.Now(),
				Call: jobs.Call{
					ID: w.Call, Execution: w.Task.Execution, Fence: w.Task.Fence, Tenant: w.Tenant, RequestHash: w.RequestHash,
					Provider: "sim", Model: "sim-1", Status: jobs.CallSuccess, CreatedAt: time.Now(),
				},
			})
			must(err)
		}
	}
}

// RFC 5861: within max_age an answer is fresh; for a while after that it is
// served all the same, and one job of low priority asks for a new one.
func TestStaleWhileRevalidate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, store := newService(t)
		n := newJob(hello)
		n.MaxAge, n.StaleWhileRevalidate = 10*time.Minute, time.Hour
		all := func() []jobs.Job {
			list, _, err := s.List(t.Context(), jobs.JobQuery{Tenant: "acme", Limit: 100})
			if err != nil {
				t.Fatal(err)
			}
			return list
		}
		mustSubmit(t, s, n)
		answer(t, store)
		time.Sleep(5 * time.Minute)
		if j := mustSubmit(t, s, n); !j.Cached || len(all()) != 2 {
			t.Fatalf("fresh: %+v, %d jobs", j, len(all()))
		}
		time.Sleep(20 * time.Minute)
		for range 5 {
			if j := mustSubmit(t, s, n); !j.Cached || j.Age != 25*time.Minute || j.Status != jobs.StatusSucceeded {
				t.Fatalf("stale: %+v", j)
			}
		}
		list := all()
		if len(list) != 2+5+1 {
			t.Fatalf("%d jobs, want one that refreshes", len(list))
		}
		var refresh jobs.Job
		for _, j := range list {
			if j.Metadata["refreshes"] != "" {
				refresh = j
			}
		}
		if refresh.Priority != jobs.PriorityLow || refresh.Status != jobs.StatusQueued {
			t.Errorf("the job that refreshes: %+v", refresh)
		}
		answer(t, store)
		if j := mustSubmit(t, s, n); !j.Cached || j.Age != 0 {
			t.Errorf("refreshed: %+v", j)
		}
		time.Sleep(71 * time.Minute)
		if j := mustSubmit(t, s, n); j.Cached || j.Status != jobs.StatusQueued {
			t.Errorf("too old: %+v", j)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
