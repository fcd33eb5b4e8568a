package surface_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// service remembers one submission, and answers with the job as it is.
type service struct {
	job  jobs.Job
	seen []jobs.NewJob
}

func (s *service) Submit(_ context.Context, n jobs.NewJob) (jobs.Submitted, error) {
	s.seen = append(s.seen, n)
	if n.Renew {
		return jobs.Submitted{Job: jobs.Job{ID: uuid.UUID{2}, Status: jobs.StatusQueued}}, nil
	}
	return jobs.Submitted{Job: s.job, Replayed: true}, nil
}

func (s *service) Wait(context.Context, string, uuid.UUID, time.Duration) (jobs.Job, error) {
	return s.job, nil
}

func requestOf(t *testing.T, retries string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(surface.WithCaller(t.Context(), &surface.Caller{}), "POST", "/v1/messages", nil)
	r.Header.Set("X-Stainless-Retry-Count", retries)
	return r
}

// A retry has the job of its first try if that can answer it, and else one of its own.
func TestSubmit(t *testing.T) {
	t.Parallel()
	first, second := uuid.UUID{1}, uuid.UUID{2}
	for name, c := range map[string]struct {
		retries string
		job     jobs.Job
		want    uuid.UUID
	}{
		"first":     {"0", jobs.Job{ID: first, Status: jobs.StatusRunning}, second},
		"unknown":   {"", jobs.Job{ID: first, Status: jobs.StatusRunning}, second},
		"running":   {"1", jobs.Job{ID: first, Status: jobs.StatusRunning}, first},
		"succeeded": {"2", jobs.Job{ID: first, Status: jobs.StatusSucceeded, Result: []byte(`{}`)}, first},
		"dropped":   {"1", jobs.Job{ID: first, Status: jobs.StatusSucceeded}, second},
		"failed":    {"1", jobs.Job{ID: first, Status: jobs.StatusFailed}, second},
	} {
		s, r, w := &service{job: c.job}, requestOf(t, c.retries), httptest.NewRecorder()
		got, err := surface.Submit(r.Context(), w, r, s, jobs.NewJob{Endpoint: "/v1/messages", Fingerprint: [32]byte{0xab}})
		if err != nil || got.ID != c.want || w.Header().Get("Penstock-Job") != c.want.String() || surface.CallerOf(r.Context()).Job != c.want {
			t.Errorf("%s: got %s, error %v, want %s", name, got.ID, err, c.want)
		}
		for _, n := range s.seen {
			if !n.NoDedupe || n.Within != surface.Shared || n.IdempotencyKey[:31] != "penstock sync /v1/messages ab00" {
				t.Errorf("%s: submitted %+v", name, n)
			}
		}
	}
}

// Who waits for a job is told why there is no answer.
func TestAwait(t *testing.T) {
	t.Parallel()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	left := requestOf(t, "")
	left = left.WithContext(over)
	running, ended := jobs.Job{Status: jobs.StatusRunning}, jobs.Job{Status: jobs.StatusFailed}
	for name, c := range map[string]struct {
		over bool
		r    *http.Request
		then jobs.Job
		want error
	}{
		"ended":    {true, left, ended, nil},
		"late":     {false, requestOf(t, ""), running, &jobs.Error{Code: jobs.CodeStoreUnavailable}},
		"stopping": {true, requestOf(t, ""), running, surface.ErrStopping},
		"left":     {true, left, running, context.Canceled},
	} {
		ctx := t.Context()
		if c.over {
			ctx = over
		}
		got, err := surface.Await(ctx, c.r, &service{job: c.then}, running)
		if !errors.Is(err, c.want) || got.Status != c.then.Status {
			t.Errorf("%s: got %s, %v, want %v", name, got.Status, err, c.want)
		}
	}
}
