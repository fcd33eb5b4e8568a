package httpapi

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// failing is a Service that fails in one way whatever it is asked.
func failing(err error) double {
	return double{
		submit: func(jobs.NewJob) (jobs.Submitted, error) { return jobs.Submitted{}, err },
		job:    func(string, uuid.UUID) (jobs.Job, error) { return jobs.Job{}, err },
		wait:   func(context.Context, time.Duration) (jobs.Job, error) { return jobs.Job{}, err },
		list:   func(jobs.JobQuery) ([]jobs.Job, bool, error) { return nil, false, err },
		cancel: func(string, uuid.UUID) (jobs.Job, error) { return jobs.Job{}, err },
		retry:  func(string, uuid.UUID) (jobs.Submitted, error) { return jobs.Submitted{}, err },
		delete: func(string, uuid.UUID) error { return err },
		calls:  func(string, uuid.UUID) ([]jobs.Call, error) { return nil, err },
	}
}

// granting is a Service that does what it is asked.
func granting() double {
	return double{
		submit: submits(queued()),
		job:    finds(succeeded()),
		wait:   func(context.Context, time.Duration) (jobs.Job, error) { return succeeded(), nil },
		list:   func(jobs.JobQuery) ([]jobs.Job, bool, error) { return []jobs.Job{queued()}, true, nil },
		cancel: finds(succeeded()),
		retry:  func(string, uuid.UUID) (jobs.Submitted, error) { return jobs.Submitted{Job: queued()}, nil },
		delete: func(string, uuid.UUID) error { return nil },
		calls: func(string, uuid.UUID) ([]jobs.Call, error) {
			return []jobs.Call{{CreatedAt: noon, RequestHash: someHash}}, nil
		},
	}
}

// Every operation gives every answer that the document says it does, and the
// contract of the harness sees to it that none is given beside them.
func TestEveryDocumentedAnswer(t *testing.T) {
	t.Parallel()
	const id = "/v1/jobs/" + someID
	away := jobs.Unavailable(errors.New("connection refused"))
	defect := errors.New("a defect")
	other := []string{"another"}
	erased := &jobs.Error{Code: jobs.CodeErased, Message: "the request was erased"}
	gone := succeeded()
	gone.Result, gone.Error = nil, &jobs.JobError{Code: jobs.CodeErased, Message: "it was erased"}
	unreadable := &jobs.Error{Code: jobs.CodeUnreadable, Message: "it was changed"}
	changed := succeeded()
	changed.Result, changed.Error = nil, &jobs.JobError{Code: jobs.CodeUnreadable, Message: "it was changed"}
	unredacted := &jobs.Error{Code: jobs.CodeRedactionUnavailable, Message: "nothing was kept", Err: defect}
	seen := map[string]bool{}
	var documented []string
	for _, c := range []struct {
		service     double
		path        string
		store       error
		want        int
		method      string
		body        string
		headers     []string
		metricsFail bool
		full        bool
		hosts       []string
	}{
		{method: "POST", path: "/v1/jobs", body: smallest, service: granting(), want: 202},
		{method: "POST", path: "/v1/jobs", body: smallest, service: granting(), want: 200, headers: []string{"Prefer", "wait=5"}},
		{method: "POST", path: "/v1/jobs", body: `{}`, want: 400},
		{method: "POST", path: "/v1/jobs", body: strings.Repeat(" ", 2000) + smallest, want: 413},
		{method: "POST", path: "/v1/jobs", body: smallest, service: failing(jobs.ErrIdempotencyMismatch), want: 422},
		{method: "POST", path: "/v1/jobs", body: smallest, service: failing(defect), want: 500},
		{method: "POST", path: "/v1/jobs", body: smallest, service: failing(away), want: 503},
		{method: "POST", path: "/v1/jobs", body: smallest, service: failing(unredacted), want: 503},
		{method: "GET", path: "/v1/jobs", service: granting(), want: 200},
		{method: "GET", path: "/v1/jobs?limit=0", want: 400},
		{method: "GET", path: "/v1/jobs", service: failing(defect), want: 500},
		{method: "GET", path: "/v1/jobs", service: failing(away), want: 503},
		{method: "GET", path: id, service: granting(), want: 200},
		{method: "GET", path: id, service: granting(), want: 304, headers: []string{"If-None-Match", "*"}},
		{method: "GET", path: id, service: double{job: finds(gone)}, want: 200},
		{method: "GET", path: id, service: double{job: finds(changed)}, want: 200},
		{method: "GET", path: id + "?wait=soon", want: 400},
		{method: "GET", path: id, service: failing(jobs.ErrNotFound), want: 404},
		{method: "GET", path: id, service: failing(defect), want: 500},
		{method: "GET", path: id, service: failing(away), want: 503},
		{method: "DELETE", path: id, service: granting(), want: 204},
		{method: "DELETE", path: id, body: "data", want: 400},
		{method: "DELETE", path: id, service: failing(jobs.ErrNotFound), want: 404},
		{method: "DELETE", path: id, service: failing(jobs.ErrLive), want: 409},
		{method: "DELETE", path: id, body: strings.Repeat("x", 2000), want: 413},
		{method: "DELETE", path: id, service: failing(defect), want: 500},
		{method: "DELETE", path: id, service: failing(away), want: 503},
		{method: "POST", path: id + "/cancel", service: granting(), want: 202},
		{method: "POST", path: id + "/cancel?now=1", want: 400},
		{method: "POST", path: id + "/cancel", service: failing(jobs.ErrNotFound), want: 404},
		{method: "POST", path: id + "/cancel", body: strings.Repeat("x", 2000), want: 413},
		{method: "POST", path: id + "/cancel", service: failing(defect), want: 500},
		{method: "POST", path: id + "/cancel", service: failing(away), want: 503},
		{method: "POST", path: id + "/retry", service: granting(), want: 202},
		{method: "POST", path: id + "/retry", want: 400, headers: []string{"Idempotency-Key", "k"}},
		{method: "POST", path: id + "/retry", service: failing(jobs.ErrNotFound), want: 404},
		{method: "POST", path: id + "/retry", service: failing(jobs.ErrNotEnded), want: 409},
		{method: "POST", path: id + "/retry", service: failing(erased), want: 410},
		{method: "POST", path: id + "/retry", service: failing(jobs.ErrDropped(noon)), want: 410},
		{method: "POST", path: id + "/retry", service: failing(unreadable), want: 410},
		{method: "POST", path: id + "/retry", service: failing(unredacted), want: 503},
		{method: "POST", path: id + "/retry", body: strings.Repeat("x", 2000), want: 413},
		{method: "POST", path: id + "/retry", service: failing(defect), want: 500},
		{method: "POST", path: id + "/retry", service: failing(away), want: 503},
		{method: "GET", path: id + "/calls", service: granting(), want: 200},
		{method: "GET", path: id + "/calls?x=1", want: 400},
		{method: "GET", path: id + "/calls", service: failing(jobs.ErrNotFound), want: 404},
		{method: "GET", path: id + "/calls", service: failing(defect), want: 500},
		{method: "GET", path: id + "/calls", service: failing(away), want: 503},
		{method: "GET", path: id + "/events", service: granting(), want: 200},
		{method: "GET", path: id + "/events", want: 400, headers: []string{"Last-Event-ID", "x"}},
		{method: "GET", path: id + "/events", service: failing(jobs.ErrNotFound), want: 404},
		{method: "GET", path: id + "/events", service: granting(), full: true, want: 429},
		{method: "GET", path: id + "/events", service: failing(defect), want: 500},
		{method: "GET", path: id + "/events", service: failing(away), want: 503},
		{method: "POST", path: "/v1/jobs", body: smallest, full: true, want: 429},
		{method: "POST", path: "/v1/jobs", body: smallest, hosts: other, want: 403},
		{method: "GET", path: "/v1/jobs", hosts: other, want: 403},
		{method: "GET", path: id, hosts: other, want: 403},
		{method: "DELETE", path: id, hosts: other, want: 403},
		{method: "POST", path: id + "/cancel", hosts: other, want: 403},
		{method: "POST", path: id + "/retry", hosts: other, want: 403},
		{method: "GET", path: id + "/calls", hosts: other, want: 403},
		{method: "GET", path: id + "/events", hosts: other, want: 403},
		{method: "GET", path: "/healthz", hosts: other, want: 200},
		{method: "GET", path: "/readyz", want: 200},
		{method: "GET", path: "/readyz", store: away, want: 503},
		{method: "GET", path: "/metrics", want: 200},
		{method: "GET", path: "/openapi.yaml", want: 200},
	} {
		h := start(t, Config{Service: c.service, Store: ping{c.store}, MaxBody: 1000, Hosts: c.hosts})
		if c.full {
			h.api.waiters.close()
			h.api.bodies.limit = 1
		}
		got := h.do(c.method, c.path, c.body, c.headers...)
		if got.status != c.want {
			t.Errorf("%s %s: status %d, want %d\n%s", c.method, c.path, got.status, c.want, got.body)
		}
		for answer := range h.contract.seen {
			seen[answer] = true
		}
		documented = h.contract.documented()
	}
	maps.Copy(seen, reloadAnswers(t))
	maps.Copy(seen, laneAnswers(t))
	maps.Copy(seen, webhookAnswers(t))
	maps.Copy(seen, batchAnswers(t))
	// Only a panic gets these to fail, which is the same for all: see TestPanic.
	for _, op := range []string{"health", "ready", "metrics", "document"} {
		seen[op+" 500"] = true
	}
	for _, answer := range documented {
		if !seen[answer] {
			t.Errorf("documented and never given: %s", answer)
		}
	}
	if len(seen) != len(documented) || !slices.IsSorted(documented) {
		t.Errorf("%d answers given, %d documented", len(seen), len(documented))
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	unknown := &jobs.Error{Code: jobs.CodeUnknownModel, Pointer: "/request/model", Message: "no"}
	unredacted := &jobs.Error{
		Code: jobs.CodeRedactionUnavailable, Message: "nothing was kept: repeat it", Err: errors.New("dial 10.0.0.7"),
	}
	for name, c := range map[string]struct {
		err    error
		status int
		code   jobs.Code
		detail string
	}{
		"invalid field":        {jobs.Invalid("/request/model", "is required"), 400, "invalid_field", "/request/model: is required"},
		"unknown model":        {unknown, 400, "unknown_model", "/request/model: no"},
		"not found":            {jobs.ErrNotFound, 404, "not_found", "no such job"},
		"conflict":             {jobs.ErrLive, 409, "conflict", "the job has not ended; cancel it first"},
		"idempotency mismatch": {jobs.ErrIdempotencyMismatch, 422, "idempotency_mismatch", "used for another submission"},
		"store away":           {jobs.Unavailable(errors.New("dial 10.0.0.7")), 503, "store_unavailable", "unknown: repeat with the same key"},
		"store too slow":       {context.DeadlineExceeded, 503, "store_unavailable", "unknown: repeat with the same key"},
		"redaction away":       {unredacted, 503, "redaction_unavailable", "nothing was kept: repeat it"},
		"unknown code":         {&jobs.Error{Code: "odd", Message: "secret"}, 500, "internal", "request_id"},
		"unknown error":        {errors.New("secret"), 500, "internal", "request_id"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Config{Service: failing(c.err)})
			method, path := "POST", "/v1/jobs"
			if c.status == 404 || c.status == 409 {
				method, path = "DELETE", "/v1/jobs/"+someID
			}
			body := map[string]string{"POST": smallest}[method]
			got := h.do(method, path, body)
			p := got.problem(t)
			if got.status != c.status || p.Status != c.status || p.Code != c.code || !strings.Contains(p.Detail, c.detail) {
				t.Errorf("got %d %+v, want %d %s %q", got.status, p, c.status, c.code, c.detail)
			}
			if p.Type != "about:blank" || p.Title != http.StatusText(c.status) {
				t.Errorf("type %q, title %q", p.Type, p.Title)
			}
			if p.RequestID == "" || p.RequestID != got.header.Get("X-Request-Id") {
				t.Errorf("request_id %q, header %q", p.RequestID, got.header.Get("X-Request-Id"))
			}
			if kind := got.header.Get("Content-Type"); kind != "application/problem+json" {
				t.Errorf("Content-Type %q", kind)
			}
			if again := got.header.Get("Retry-After"); (again != "") != (c.status == 503) {
				t.Errorf("Retry-After %q with %d", again, c.status)
			}
			for _, hidden := range []string{"secret", "10.0.0.7"} {
				if strings.Contains(got.body, hidden) {
					t.Errorf("the answer tells %q:\n%s", hidden, got.body)
				}
			}
		})
	}
}

func TestReadingIsNotUnknownWhenTheStoreIsAway(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: failing(jobs.Unavailable(errors.New("away")))})
	if p := h.do("GET", "/v1/jobs", "").problem(t); strings.Contains(p.Detail, "unknown") {
		t.Errorf("detail %q", p.Detail)
	}
}

func TestPanic(t *testing.T) {
	t.Parallel()
	service := granting()
	service.submit = func(jobs.NewJob) (jobs.Submitted, error) { panic("secret prompt") }
	h := start(t, Config{Service: service})
	got := h.do("POST", "/v1/jobs", smallest)
	if p := got.problem(t); p.Status != 500 || p.Code != "internal" || strings.Contains(got.body, "secret") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if again := h.do("GET", "/healthz", ""); again.status != 200 {
		t.Errorf("after a panic: %d", again.status)
	}
	line := h.lines()[0]
	if line["cause"] != "panic: string" || line["stack"] == nil || strings.Contains(h.log.String(), "secret") {
		t.Errorf("log: %v", line)
	}
}

func TestNoSuchPath(t *testing.T) {
	t.Parallel()
	h := start(t, Config{})
	for _, path := range []string{"/", "/v1", "/v1/jobs/", "/v1/jobs/" + someID + "/nothing", "/v1/job", "//v1/jobs"} {
		if got := h.do("GET", path, ""); got.status != 404 || got.problem(t).Code != "not_found" {
			t.Errorf("GET %s: %d %s", path, got.status, got.body)
		}
	}
}

func TestNoSuchMethod(t *testing.T) {
	t.Parallel()
	h := start(t, Config{})
	for path, allowed := range map[string]string{
		"/v1/jobs": "POST", "/v1/jobs/" + someID: "DELETE", "/healthz": "GET", "/v1/jobs/" + someID + "/cancel": "POST",
	} {
		got := h.do("PUT", path, "")
		if got.status != 405 || got.problem(t).Code != "method_not_allowed" || !strings.Contains(got.header.Get("Allow"), allowed) {
			t.Errorf("PUT %s: %d, Allow %q, %s", path, got.status, got.header.Get("Allow"), got.body)
		}
	}
}

func TestHeadIsAsGet(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: granting()})
	for _, path := range []string{"/healthz", "/readyz", "/v1/jobs", "/v1/jobs/" + someID, "/v1/jobs/" + someID + "/events"} {
		if got := h.do("HEAD", path, ""); got.status != 200 || got.body != "" {
			t.Errorf("HEAD %s: %d %q", path, got.status, got.body)
		}
	}
}

// A request may hold megabytes in one key: the answer must not repeat them.
func TestProblemsAreBounded(t *testing.T) {
	t.Parallel()
	h := start(t, Config{})
	var body strings.Builder
	body.WriteString(`{"request":{}`)
	for range 100 {
		body.WriteString(`,"` + uuid.NewString() + strings.Repeat("é", 3000) + `":1`)
	}
	body.WriteString("}")
	got := h.do("POST", "/v1/jobs", body.String())
	if p := got.problem(t); len(p.Errors) != maxFieldErrors || len(p.Detail) > maxDetail {
		t.Errorf("%d errors, detail of %d bytes", len(p.Errors), len(p.Detail))
	}
	if len(got.body) > 16<<10 {
		t.Errorf("answer of %d bytes", len(got.body))
	}
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	h := start(t, Config{})
	for given, kept := range map[string]bool{
		"abc-1.2_3:4/5+6=": true, strings.Repeat("x", 128): true,
		"": false, strings.Repeat("x", 129): false, "a b": false, `a"b`: false, "é": false,
	} {
		got := h.do("GET", "/healthz", "", "X-Request-Id", given).header.Get("X-Request-Id")
		if (got == given) != kept || got == "" {
			t.Errorf("given %q, got %q", given, got)
		}
	}
}
