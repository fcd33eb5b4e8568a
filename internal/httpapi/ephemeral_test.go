package httpapi

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Whoever was told the end of an ephemeral job has its answer: that is noted, and
// of no other job.
func TestDeliveriesAreNoted(t *testing.T) {
	t.Parallel()
	live, ended, kept := queued(), succeeded(), succeeded()
	live.Ephemeral, ended.Ephemeral = true, true
	for name, c := range map[string]struct {
		job    jobs.Job
		method string
		path   string
		header []string
		want   bool
	}{
		"polled":         {ended, "GET", "/v1/jobs/" + someID, nil, true},
		"polled early":   {live, "GET", "/v1/jobs/" + someID, nil, false},
		"a kept job":     {kept, "GET", "/v1/jobs/" + someID, nil, false},
		"submitted":      {live, "POST", "/v1/jobs", nil, false},
		"copied":         {ended, "POST", "/v1/jobs", nil, true},
		"waited for":     {ended, "POST", "/v1/jobs", []string{"Prefer", "wait=5"}, true},
		"streamed":       {ended, "GET", "/v1/jobs/" + someID + "/events", nil, true},
		"a kept stream":  {kept, "GET", "/v1/jobs/" + someID + "/events", nil, false},
		"ended, as told": {ended, "POST", "/v1/jobs/" + someID + "/cancel", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := make(chan uuid.UUID, 2)
			service := double{
				submit: submits(c.job), job: finds(c.job), cancel: finds(c.job),
				delivered: func(j jobs.Job) error {
					told <- j.ID
					return errors.New("a failure changes no answer")
				},
			}
			h := start(t, Config{Service: service, Follower: streamFunc(
				func(_ context.Context, _ jobs.StreamPosition, tell func(...jobs.StreamEvent) error) error {
					return tell(jobs.StreamEvent{Type: jobs.StreamDone, Job: c.job})
				})})
			body := ""
			if c.path == "/v1/jobs" {
				body = smallest
			}
			if a := h.do(c.method, c.path, body, c.header...); a.status >= 300 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			h.stop()
			if got := len(told) == 1; got != c.want {
				t.Errorf("noted: %v, want %v", got, c.want)
			}
		})
	}
}
