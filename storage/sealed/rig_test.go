package sealed_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage/sealed"
	"github.com/penstock-dev/penstock/storage/sealed/sealedtest"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

const (
	acme    = "acme"
	request = `{"model":"default","messages":[{"role":"user","content":"a secret question"}]}`
	result  = `{"choices":[{"message":{"content":"a secret answer"}}]}`
	half    = "a secret ans"
)

// rig drives jobs through a sealed store and looks at what lies below it.
type rig struct {
	t     *testing.T
	below *sqlite.Store
	store *sealed.Store
	// worker runs what is claimed.
	worker uuid.UUID
}

// newRig returns a rig whose store seals with the secrets of the given bytes;
// none: it keeps in plain.
func newRig(t *testing.T, secrets ...byte) *rig {
	t.Helper()
	below, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := below.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, below: below, worker: uuid.Must(uuid.NewV7())}
	return r.process(secrets...)
}

// process returns another process on the same data, with the given secrets.
func (r *rig) process(secrets ...byte) *rig {
	r.t.Helper()
	return r.on(r.below, sealedtest.Config(r.t, secrets...))
}

func (r *rig) on(b sealed.Backing, c sealed.Config) *rig {
	r.t.Helper()
	other := *r
	var err error
	other.store, err = sealed.New(r.t.Context(), b, c)
	r.must(err)
	return &other
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

func submission(tenant, prompt string) jobs.Submission {
	sum := sha256.Sum256([]byte(tenant + prompt))
	at := now()
	return jobs.Submission{
		Job: jobs.Job{
			ID: uuid.Must(uuid.NewV7()), Tenant: tenant, Endpoint: providers.ChatCompletions, Model: "default",
			Deadline: at.Add(time.Hour), CreatedAt: at, RequestHash: hex.EncodeToString(sum[:]),
		},
		Request: jobs.Request{
			Endpoint: providers.ChatCompletions, Route: "default", Cost: 7, Body: json.RawMessage(request),
		},
		Execution: uuid.Must(uuid.NewV7()), Dedupe: true,
	}
}

func (r *rig) submit(tenant, prompt string) jobs.Job {
	r.t.Helper()
	return r.keep(submission(tenant, prompt)).Job
}

func (r *rig) keep(s jobs.Submission) jobs.Submitted {
	r.t.Helper()
	done, err := r.store.Submit(r.t.Context(), s)
	r.must(err)
	return done
}

// claim releases what is ready, which must be one, and claims it.
func (r *rig) claim() jobs.Work {
	r.t.Helper()
	ctx := r.t.Context()
	_, err := r.store.Beat(ctx, jobs.Worker{ID: r.worker, Name: "w"}, nil)
	r.must(err)
	ready, err := r.store.Ready(ctx, jobs.ReadyQuery{Route: "default", Now: now(), Tenants: 9, PerTenant: 9})
	r.must(err)
	if len(ready) != 1 {
		r.t.Fatalf("%d executions are ready, want 1", len(ready))
	}
	tasks, err := r.store.Release(ctx, []jobs.Release{
		{Execution: ready[0].Execution, Fence: ready[0].Fence, Provider: "sim", Model: "sim-1"},
	}, now())
	r.must(err)
	w, err := r.store.Claim(ctx, jobs.Claim{
		Task: tasks[0], Worker: r.worker, Call: uuid.Must(uuid.NewV7()), At: now(),
	})
	r.must(err)
	return w
}

func callOf(w jobs.Work) jobs.Call {
	return jobs.Call{
		ID: w.Call, Execution: w.Task.Execution, Fence: w.Task.Fence, Tenant: w.Tenant, RequestHash: w.RequestHash,
		Provider: w.Provider, Model: w.Model, Status: jobs.CallFailure, ErrorClass: providers.Truncated,
		Latency: time.Second, Partial: half, CreatedAt: now(),
	}
}

func success(w jobs.Work) jobs.Outcome {
	c := callOf(w)
	c.Status, c.ErrorClass, c.Partial = jobs.CallSuccess, "", ""
	return jobs.Outcome{Task: w.Task, Call: c, Status: jobs.StatusSucceeded, Result: json.RawMessage(result), At: now()}
}

func failure(w jobs.Work) jobs.Outcome {
	return jobs.Outcome{
		Task: w.Task, Call: callOf(w), Status: jobs.StatusFailed, At: now(),
		Error: &jobs.JobError{Code: string(providers.Truncated), Message: "it ended after: " + half},
	}
}

func (r *rig) finish(o jobs.Outcome) {
	r.t.Helper()
	_, err := r.store.Finish(r.t.Context(), o)
	r.must(err)
}

// succeed runs a job to its answer.
func (r *rig) succeed(tenant, prompt string) jobs.Job {
	r.t.Helper()
	j := r.submit(tenant, prompt)
	r.finish(success(r.claim()))
	return r.job(j)
}

// fail runs a job to a failure with half an answer.
func (r *rig) fail(prompt string) jobs.Job {
	r.t.Helper()
	j := r.submit(acme, prompt)
	r.finish(failure(r.claim()))
	return r.job(j)
}

func (r *rig) job(j jobs.Job) jobs.Job {
	r.t.Helper()
	got, err := r.store.Job(r.t.Context(), j.Tenant, j.ID)
	r.must(err)
	return got
}

func (r *rig) request(j jobs.Job) (string, error) {
	got, err := r.store.Request(r.t.Context(), j.Tenant, j.ID)
	return string(got.Body), err
}

func (r *rig) partial(j jobs.Job) string {
	r.t.Helper()
	calls, err := r.store.Calls(r.t.Context(), j.Tenant, j.ID)
	r.must(err)
	if len(calls) != 1 {
		r.t.Fatalf("%d calls, want 1", len(calls))
	}
	return calls[0].Partial
}

// reads fails the test unless all of a job that succeeded can be read.
func (r *rig) reads(j jobs.Job) {
	r.t.Helper()
	if got := r.job(j); got.Status != jobs.StatusSucceeded || string(got.Result) != result || got.Error != nil {
		r.t.Errorf("job: got %s, %s, %+v, want the answer", got.Status, got.Result, got.Error)
	}
	if body, err := r.request(j); err != nil || body != request {
		r.t.Errorf("request: got %q, %v", body, err)
	}
}
