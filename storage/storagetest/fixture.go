package storagetest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// What submissions and releases are made with unless a rule says otherwise.
const (
	tenant   = "acme"
	route    = "default"
	provider = "sim"
	model    = "sim-1"
)

// fixture is one store under test. Its methods fail the test where the store
// answers with an error.
type fixture struct {
	t     *testing.T
	store jobs.Store
	// now is the time of submissions; all others are given relative to it.
	now time.Time
	// incomplete says that answers end at a bound of their request.
	incomplete bool
}

func newFixture(t *testing.T, store jobs.Store) *fixture {
	t.Helper()
	return &fixture{t: t, store: store, now: time.Now().UTC().Truncate(time.Microsecond)}
}

// at returns the time d after now.
func (f *fixture) at(d time.Duration) time.Time { return f.now.Add(d) }

func newID(t *testing.T) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatalf("make an id: %v", err)
	}
	return id
}

// hashOf returns a request hash that is the same for the same name.
func hashOf(name string) string {
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

type edit func(s *jobs.Submission)

func withTenant(name string) edit { return func(s *jobs.Submission) { s.Job.Tenant = name } }

func withPriority(p jobs.Priority) edit { return func(s *jobs.Submission) { s.Job.Priority = p } }

func withDeadline(at time.Time) edit { return func(s *jobs.Submission) { s.Job.Deadline = at } }

func withCreated(at time.Time) edit { return func(s *jobs.Submission) { s.Job.CreatedAt = at } }

func withMaxAge(d time.Duration) edit { return func(s *jobs.Submission) { s.MaxAge = d } }

func withRoute(name string) edit { return func(s *jobs.Submission) { s.Request.Route = name } }

func withoutDedupe(s *jobs.Submission) { s.Dedupe = false }

func withNoStore(s *jobs.Submission) { s.NoStore = true }

// submission returns one of the given hash with an hour to go.
func (f *fixture) submission(name string, edits ...edit) jobs.Submission {
	f.t.Helper()
	s := jobs.Submission{
		Job: jobs.Job{
			ID: newID(f.t), Tenant: tenant, Endpoint: providers.ChatCompletions, Model: "default",
			Deadline: f.at(time.Hour), CreatedAt: f.now, RequestHash: hashOf(name),
		},
		Request: jobs.Request{
			Endpoint: providers.ChatCompletions, Route: route, Cost: 7,
			Body: json.RawMessage(`{ "model":"default",  "messages":[]}`),
		},
		Execution: newID(f.t),
		Dedupe:    true,
	}
	for _, e := range edits {
		e(&s)
	}
	return s
}

// submit keeps a submission of the given hash.
func (f *fixture) submit(name string, edits ...edit) jobs.Submitted {
	f.t.Helper()
	return f.keep(f.submission(name, edits...))
}

func (f *fixture) keep(s jobs.Submission) jobs.Submitted {
	f.t.Helper()
	got, err := f.store.Submit(f.t.Context(), s)
	f.must(err, "submit")
	return got
}

func (f *fixture) must(err error, doing string) {
	f.t.Helper()
	if err != nil {
		f.t.Fatalf("%s: %v", doing, err)
	}
}

func (f *fixture) mustBe(err, want error, doing string) {
	f.t.Helper()
	if !errors.Is(err, want) {
		f.t.Fatalf("%s: got error %v, want %v", doing, err, want)
	}
}

func (f *fixture) job(id uuid.UUID) jobs.Job {
	f.t.Helper()
	return f.jobOf(tenant, id)
}

func (f *fixture) jobOf(tenant string, id uuid.UUID) jobs.Job {
	f.t.Helper()
	j, err := f.store.Job(f.t.Context(), tenant, id)
	f.must(err, "read a job")
	return j
}

func (f *fixture) calls(id uuid.UUID) []jobs.Call {
	f.t.Helper()
	calls, err := f.store.Calls(f.t.Context(), tenant, id)
	f.must(err, "list calls")
	return calls
}

func (f *fixture) events(tenant string, id uuid.UUID) []jobs.Event {
	f.t.Helper()
	events, err := f.store.Events(f.t.Context(), tenant, id)
	f.must(err, "list events")
	return events
}

// live asserts that the job has not ended and told of no end.
func (f *fixture) live(id uuid.UUID) jobs.Job {
	f.t.Helper()
	j := f.job(id)
	if j.Status.Terminal() {
		f.t.Fatalf("job %s: got status %s, want a live job", id, j.Status)
	}
	if events := f.events(tenant, id); len(events) != 0 {
		f.t.Fatalf("job %s is live: got events %+v, want none", id, events)
	}
	return j
}

// ended asserts that the job ended so, and has the one event that says it.
func (f *fixture) ended(id uuid.UUID, want jobs.Status) jobs.Job {
	f.t.Helper()
	return f.endedOf(tenant, id, want)
}

func (f *fixture) endedOf(tenant string, id uuid.UUID, want jobs.Status) jobs.Job {
	f.t.Helper()
	j := f.jobOf(tenant, id)
	if j.Status != want {
		f.t.Fatalf("job %s: got status %s, want %s", id, j.Status, want)
	}
	if j.WaitingOn != "" {
		f.t.Fatalf("job %s has ended: got waiting_on %q, want none", id, j.WaitingOn)
	}
	f.toldOf(j)
	return j
}

// toldOf asserts that a terminal job has one event, written with its status, and another
// of its kind if it is a response.
func (f *fixture) toldOf(j jobs.Job) {
	f.t.Helper()
	types := []string{jobs.EventType(j.Status)}
	if j.Response {
		types = append(types, jobs.ResponseEventType(j.Status, f.incomplete))
	}
	events := f.events(j.Tenant, j.ID)
	if len(events) != len(types) {
		f.t.Fatalf("job %s, %s: got events %+v, want %q", j.ID, j.Status, events, types)
	}
	for _, e := range events {
		want := jobs.Event{ID: e.ID, Tenant: j.Tenant, Job: j.ID, Type: e.Type, CreatedAt: j.FinishedAt}
		if e != want || e.ID.Version() != 7 {
			f.t.Fatalf("event: got %+v, want %+v with a UUIDv7", e, want)
		}
	}
	for _, want := range types {
		f.eventOf(events, want)
	}
}

// eventOf returns the one event of that type.
func (f *fixture) eventOf(events []jobs.Event, eventType string) jobs.Event {
	f.t.Helper()
	of := slices.DeleteFunc(slices.Clone(events), func(e jobs.Event) bool { return e.Type != eventType })
	if len(of) != 1 {
		f.t.Fatalf("events: got %+v, want one %s", events, eventType)
	}
	return of[0]
}

// ready lists what may be released at the given time, once what is due by then
// was brought back.
func (f *fixture) ready(p jobs.Priority, at time.Time) []jobs.Candidate {
	f.t.Helper()
	_, _, err := f.store.Unpark(f.t.Context(), at, 1000)
	f.must(err, "unpark")
	return f.readyAlone(p, at)
}

// readyAlone lists what may be released without bringing anything back.
func (f *fixture) readyAlone(p jobs.Priority, at time.Time) []jobs.Candidate {
	f.t.Helper()
	return f.readyOf(jobs.ReadyQuery{Route: route, Priority: p, Now: at, Tenants: 100, PerTenant: 100})
}

func (f *fixture) readyOf(q jobs.ReadyQuery) []jobs.Candidate {
	f.t.Helper()
	got, err := f.store.Ready(f.t.Context(), q)
	f.must(err, "list what is ready")
	return got
}

// releaseAll releases all that is ready at the given time.
func (f *fixture) releaseAll(at time.Time) []jobs.Task {
	f.t.Helper()
	var releases []jobs.Release
	for _, p := range jobs.Priorities() {
		for _, c := range f.ready(p, at) {
			releases = append(releases, releaseOf(c))
		}
	}
	return f.releaseThese(at, releases...)
}

func releaseOf(c jobs.Candidate) jobs.Release {
	return jobs.Release{Execution: c.Execution, Fence: c.Fence, Provider: provider, Model: model}
}

func (f *fixture) releaseThese(at time.Time, releases ...jobs.Release) []jobs.Task {
	f.t.Helper()
	tasks, err := f.store.Release(f.t.Context(), releases, at)
	f.must(err, "release")
	return tasks
}

// release releases the one execution that is ready.
func (f *fixture) release(at time.Time) jobs.Task {
	f.t.Helper()
	tasks := f.releaseAll(at)
	if len(tasks) != 1 {
		f.t.Fatalf("release all: got %d tasks, want 1: %+v", len(tasks), tasks)
	}
	return tasks[0]
}

// worker makes a new worker known and returns it as the store tells of it.
func (f *fixture) worker() jobs.Worker {
	f.t.Helper()
	w := jobs.Worker{ID: newID(f.t), Name: "worker"}
	f.beat(w)
	return f.workerNow(w.ID)
}

func (f *fixture) beat(w jobs.Worker, running ...jobs.Task) []jobs.Task {
	f.t.Helper()
	obsolete, err := f.store.Beat(f.t.Context(), w, running)
	f.must(err, "beat")
	return obsolete
}

// workerNow returns the known worker with the given id.
func (f *fixture) workerNow(id uuid.UUID) jobs.Worker {
	f.t.Helper()
	workers, err := f.store.Workers(f.t.Context())
	f.must(err, "list workers")
	for _, w := range workers {
		if w.ID == id {
			return w
		}
	}
	f.t.Fatalf("worker %s is not known; known are %+v", id, workers)
	return jobs.Worker{}
}

func (f *fixture) claimOf(task jobs.Task, w jobs.Worker) jobs.Claim {
	f.t.Helper()
	return jobs.Claim{Task: task, Worker: w.ID, Call: newID(f.t), At: f.at(time.Second)}
}

// claim starts a run of task by w.
func (f *fixture) claim(task jobs.Task, w jobs.Worker) jobs.Work {
	f.t.Helper()
	work, err := f.store.Claim(f.t.Context(), f.claimOf(task, w))
	f.must(err, "claim")
	return work
}

// running submits, releases and claims one execution by a worker of its own.
func (f *fixture) running(name string, edits ...edit) (jobs.Job, jobs.Work, jobs.Worker) {
	f.t.Helper()
	job := f.submit(name, edits...).Job
	w := f.worker()
	return job, f.claim(f.release(f.now), w), w
}

func usd(n int64) *jobs.USD {
	u := jobs.USD(n)
	return &u
}

// callOf returns the closed first call of a run.
func (f *fixture) callOf(w jobs.Work) jobs.Call {
	return jobs.Call{
		ID: w.Call, Execution: w.Task.Execution, Fence: w.Task.Fence, Tenant: w.Tenant, RequestHash: w.RequestHash,
		Provider: w.Provider, Model: w.Model, Status: jobs.CallSuccess, HTTPStatus: 200,
		Latency: 1200 * time.Millisecond, TimeToFirstToken: 300 * time.Millisecond,
		Usage:     providers.Usage{Known: true, InputTokens: 11, OutputTokens: 22, CachedTokens: 3, ReasoningTokens: 4},
		CostUSD:   usd(2_500_000),
		CreatedAt: f.at(time.Second), ProviderRequestID: "req_1", ServedModel: "model-1-2026-01-31",
	}
}

// failedCallOf returns the first call of a run, closed by a server error.
func (f *fixture) failedCallOf(w jobs.Work) jobs.Call {
	c := f.callOf(w)
	c.Status, c.ErrorClass, c.HTTPStatus = jobs.CallFailure, providers.ServerError, 500
	c.Usage, c.CostUSD, c.Partial = providers.Usage{}, nil, "half an ans"
	return c
}

// answer is a result whose bytes no store may change.
const answer = `{"object":"chat.completion",  "z":1, "a":"é\u00e9", "n":12345678901234567890}`

// success returns the outcome of a run that brought the answer.
func (f *fixture) success(w jobs.Work, at time.Time) jobs.Outcome {
	return jobs.Outcome{
		Task: w.Task, Call: f.callOf(w), Status: jobs.StatusSucceeded, Result: json.RawMessage(answer), At: at,
		Incomplete: f.incomplete,
	}
}

// failure returns the outcome of a run that used up its last try.
func (f *fixture) failure(w jobs.Work, at time.Time) jobs.Outcome {
	return jobs.Outcome{
		Task: w.Task, Call: f.failedCallOf(w), Status: jobs.StatusFailed, Tries: 1, At: at,
		Error: &jobs.JobError{Code: string(providers.ServerError), Message: "the provider failed"},
	}
}

func (f *fixture) finish(o jobs.Outcome) []uuid.UUID {
	f.t.Helper()
	ended, err := f.store.Finish(f.t.Context(), o)
	f.must(err, "finish")
	return ended
}

// retry returns what gives a run back until runAt, with one try used up.
func (f *fixture) retry(w jobs.Work, runAt time.Time) jobs.Rescheduling {
	return jobs.Rescheduling{
		Task: w.Task, Call: f.failedCallOf(w), RunAt: runAt, WaitingOn: jobs.WaitingOnRetry, Tries: 1, Target: w.Target,
	}
}

func (f *fixture) reschedule(r jobs.Rescheduling) {
	f.t.Helper()
	f.must(f.store.Reschedule(f.t.Context(), r), "reschedule")
}

func (f *fixture) cancel(id uuid.UUID) (jobs.Job, []jobs.Task) {
	f.t.Helper()
	j, stopped, err := f.store.Cancel(f.t.Context(), tenant, id, f.at(time.Minute))
	f.must(err, "cancel")
	return j, stopped
}

func (f *fixture) expire(now time.Time) jobs.Expired {
	f.t.Helper()
	e, err := f.store.Expire(f.t.Context(), now, 1000)
	f.must(err, "expire")
	return e
}

// equal fails the test unless got is want.
func equal[T comparable](f *fixture, got, want T, what string) {
	f.t.Helper()
	if got != want {
		f.t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

// sameIDs fails the test unless both hold the same ids, in any order.
func (f *fixture) sameIDs(got []uuid.UUID, want ...uuid.UUID) {
	f.t.Helper()
	count := map[uuid.UUID]int{}
	for _, id := range got {
		count[id]++
	}
	for _, id := range want {
		count[id]--
	}
	for id, n := range count {
		if n != 0 {
			f.t.Fatalf("ids: got %v, want %v (differ in %s)", got, want, id)
		}
	}
}
