package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/penstock-dev/penstock/jobs"
)

func TestFailureIsUnavailabilityOrNot(t *testing.T) {
	t.Parallel()
	unavailable := &jobs.Error{Code: jobs.CodeStoreUnavailable}
	for _, c := range []struct {
		name string
		err  error
		down bool
	}{
		{"refused", &net.OpError{Op: "dial", Err: errors.New("refused")}, true},
		{"broken off", io.ErrUnexpectedEOF, true},
		{"too slow", context.DeadlineExceeded, true},
		{"shut down", &pgconn.PgError{Code: "57P01"}, true},
		{"too many connections", &pgconn.PgError{Code: "53300"}, true},
		{"disk full", &pgconn.PgError{Code: "53100"}, true},
		{"read-only", &pgconn.PgError{Code: "25006"}, true},
		{"lock timeout", &pgconn.PgError{Code: "55P03"}, true},
		{"deadlock after every attempt", &pgconn.PgError{Code: "40P01"}, true},
		{"duplicate", &pgconn.PgError{Code: "23505"}, false},
		{"syntax", &pgconn.PgError{Code: "42601"}, false},
		{"unknown", errors.New("surprise"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := fail(t.Context(), "test", fmt.Errorf("wrapped: %w", c.err))
			if errors.Is(got, unavailable) != c.down {
				t.Fatalf("fail(%v): got %v, unavailable: want %v", c.err, got, c.down)
			}
		})
	}
}

func TestCoreErrorsPass(t *testing.T) {
	t.Parallel()
	for _, err := range []error{jobs.ErrStale, jobs.ErrProlonged, jobs.ErrNotFound, jobs.ErrLive, ErrNewerSchema} {
		if got := fail(t.Context(), "test", err); !errors.Is(got, err) {
			t.Fatalf("fail(%v): got %v", err, got)
		}
	}
}

func TestACallerWhoLeftIsNotUnavailability(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Job(ctx, "acme", uuid.New())
	if !errors.Is(err, context.Canceled) || errors.Is(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}) {
		t.Fatalf("got error %v, want %v", err, context.Canceled)
	}
}

// Errors are logged; what the database and its driver quote in theirs is not
// fit for a log.
func TestErrorsQuoteNoValues(t *testing.T) {
	t.Parallel()
	const secret = "the-prompt"
	s := openStore(t, Config{BatchSize: 1})
	quoting := map[string]error{
		"duplicate": &pgconn.PgError{
			Code: "23505", Message: secret, Detail: "Key (tenant)=(" + secret + ")", Where: secret, Hint: secret,
		},
		"driver": fmt.Errorf("failed to encode args[0]: %w", errors.New(secret)),
	}
	for name, err := range quoting {
		if got := fail(t.Context(), name, err); strings.Contains(got.Error(), secret) {
			t.Errorf("%s: the error quotes what it should not: %v", name, got)
		}
	}
	sub := testSubmission(secret)
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	_, err := s.Submit(t.Context(), sub)
	if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), sub.Job.ID.String()) {
		t.Fatalf("a job that exists: got error %v, want one without values", err)
	}
	if _, ok := errors.AsType[*stateError](err); !ok {
		t.Fatalf("got error %v, want one that tells the SQLSTATE", err)
	}
}

// testSubmission returns a submission of the given hash, with an hour to go.
func testSubmission(hash string) jobs.Submission {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return jobs.Submission{
		Job: jobs.Job{
			ID: uuid.Must(uuid.NewV7()), Tenant: "acme", Endpoint: "/v1/chat/completions", Model: "default",
			Deadline: now.Add(time.Hour), CreatedAt: now, RequestHash: hash,
		},
		Request: jobs.Request{
			Endpoint: "/v1/chat/completions", Route: "default", Body: []byte(`{"model":"default"}`), Cost: 1,
		},
		Execution: uuid.Must(uuid.NewV7()),
		Dedupe:    true,
	}
}

func TestTextThatPostgresCannotHold(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	invalid := &jobs.Error{Code: jobs.CodeInvalidField}

	sub := testSubmission("metadata")
	sub.Job.Metadata = map[string]string{"a": "b\x00c"}
	if _, err := s.Submit(t.Context(), sub); !errors.Is(err, invalid) {
		t.Fatalf("submit metadata with U+0000: got error %v, want %v", err, invalid)
	}
	sub = testSubmission("user")
	sub.Job.User = "\x00"
	if _, err := s.Submit(t.Context(), sub); !errors.Is(err, invalid) {
		t.Fatalf("submit a user with U+0000: got error %v, want %v", err, invalid)
	}
	if _, err := s.Submit(t.Context(), testSubmission("beside them")); err != nil {
		t.Fatal(err)
	}
	_, err := s.Jobs(t.Context(), jobs.JobQuery{Tenant: "acme", Metadata: map[string]string{"\x00": ""}, Limit: 1})
	if !errors.Is(err, invalid) {
		t.Fatalf("list by metadata with U+0000: got error %v, want %v", err, invalid)
	}
}

// What a provider sent must not keep an outcome from being written.
func TestOutcomeOfOddTextIsKept(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	sub := testSubmission("odd")
	if _, err := s.Submit(t.Context(), sub); err != nil {
		t.Fatal(err)
	}
	work := runOne(t, s)
	_, err := s.Finish(t.Context(), jobs.Outcome{
		Task: work.Task, Status: jobs.StatusFailed, At: time.Now(),
		Error: &jobs.JobError{Code: "malformed", Message: "half a character: \xc3"},
		Call: jobs.Call{
			ID: work.Call, Execution: work.Task.Execution, Fence: work.Task.Fence, Tenant: work.Tenant,
			RequestHash: work.RequestHash, Provider: work.Provider, Model: work.Model, Status: jobs.CallFailure,
			Partial: "a\x00b\xff", ProviderRequestID: "\x00", ServedModel: "m\x00\xff", CreatedAt: time.Now(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	calls, err := s.Calls(t.Context(), "acme", sub.Job.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) != 1 || calls[0].Partial != "a\uFFFDb\uFFFD" {
		t.Fatalf("calls: got %+v, want one with its partial text made valid", calls)
	}
}

// runOne releases the one execution that is ready and claims it.
func runOne(t *testing.T, s *Store) jobs.Work {
	t.Helper()
	ready, err := s.Ready(t.Context(), jobs.ReadyQuery{Route: "default", Now: time.Now(), Tenants: 10, PerTenant: 10})
	if err != nil || len(ready) != 1 {
		t.Fatalf("ready: got %+v, %v, want one", ready, err)
	}
	tasks, err := s.Release(t.Context(), []jobs.Release{{
		Execution: ready[0].Execution, Fence: ready[0].Fence, Provider: "sim", Model: "sim-1",
	}}, time.Now())
	if err != nil || len(tasks) != 1 {
		t.Fatalf("release: got %+v, %v, want one", tasks, err)
	}
	w := jobs.Worker{ID: uuid.Must(uuid.NewV7()), Name: "worker"}
	if _, err := s.Beat(t.Context(), w, nil); err != nil {
		t.Fatal(err)
	}
	work, err := s.Claim(t.Context(), jobs.Claim{
		Task: tasks[0], Worker: w.ID, Call: uuid.Must(uuid.NewV7()), At: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return work
}
