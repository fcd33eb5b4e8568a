package httpapi

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// recording keeps the last job that was submitted.
func recording(n *jobs.NewJob, answer jobs.Submitted) double {
	return double{submit: func(got jobs.NewJob) (jobs.Submitted, error) {
		*n = got
		return answer, nil
	}}
}

func TestSubmit(t *testing.T) {
	t.Parallel()
	var got jobs.NewJob
	h := start(t, Config{Service: recording(&got, jobs.Submitted{Job: queued()})})
	a := h.do("POST", "/v1/jobs", smallest)
	if a.status != 202 || a.header.Get("Location") != "/v1/jobs/"+someID || a.header.Get("Retry-After") != "1" ||
		a.header.Get("Vary") != "Prefer" || a.header.Get("Preference-Applied") != "" || a.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if !strings.Contains(a.body, someID) {
		t.Errorf("body %s", a.body)
	}
	if got.Tenant != DefaultTenant || got.IdempotencyKey != "" || got.Fingerprint == [32]byte{} || len(got.Request) == 0 {
		t.Errorf("submitted %+v", got)
	}
}

// A cache hit is accepted like any other job: it is over, though.
func TestSubmitAnsweredFromCache(t *testing.T) {
	t.Parallel()
	job := succeeded()
	job.Cached, job.Age = true, 90*time.Second+900*time.Millisecond
	h := start(t, Config{Service: double{submit: submits(job)}})
	a := h.do("POST", "/v1/jobs", smallest)
	if a.status != 202 || a.header.Get("Retry-After") != "0" || !strings.Contains(a.body, `"age":90,`) {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
	if a := h.do("POST", "/v1/jobs", smallest, "Prefer", "wait=5"); a.status != 200 {
		t.Errorf("with Prefer: %d", a.status)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers []string
		key     string
		refused bool
	}{
		"none":            {nil, "", false},
		"bare":            {[]string{"order-1"}, "order-1", false},
		"quoted":          {[]string{`"order-1"`}, "order-1", false},
		"escaped":         {[]string{`"a\"b\\c"`}, `a"b\c`, false},
		"quote inside":    {[]string{`a"b`}, `a"b`, false},
		"255":             {[]string{strings.Repeat("k", 255)}, strings.Repeat("k", 255), false},
		"255 quoted":      {[]string{`"` + strings.Repeat("k", 255) + `"`}, strings.Repeat("k", 255), false},
		"256":             {[]string{strings.Repeat("k", 256)}, "", true},
		"256 quoted":      {[]string{`"` + strings.Repeat("k", 256) + `"`}, "", true},
		"empty":           {[]string{" "}, "", true},
		"empty, quoted":   {[]string{`""`}, "", true},
		"a space":         {[]string{"a b"}, "", true},
		"not ASCII":       {[]string{"é"}, "", true},
		"no second quote": {[]string{`"abc`}, "", true},
		"more behind":     {[]string{`"abc"d`}, "", true},
		"a bad escape":    {[]string{`"a\bc"`}, "", true},
		"escape at end":   {[]string{`"abc\`}, "", true},
		"twice":           {[]string{"a", "a"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got jobs.NewJob
			h := start(t, Config{Service: recording(&got, jobs.Submitted{Job: queued()})})
			var headers []string
			for _, value := range c.headers {
				headers = append(headers, "Idempotency-Key", value)
			}
			a := h.do("POST", "/v1/jobs", smallest, headers...)
			if c.refused {
				if a.status != 400 || !strings.Contains(a.problem(t).Detail, "Idempotency-Key") {
					t.Errorf("%d %s", a.status, a.body)
				}
			} else if a.status != 202 || got.IdempotencyKey != c.key {
				t.Errorf("%d, key %q, want %q", a.status, got.IdempotencyKey, c.key)
			}
		})
	}
}

func TestReplay(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: double{submit: func(jobs.NewJob) (jobs.Submitted, error) {
		return jobs.Submitted{Job: succeeded(), Replayed: true}, nil
	}}})
	a := h.do("POST", "/v1/jobs", smallest, "Idempotency-Key", "k")
	if a.status != 202 || a.header.Get("Idempotent-Replayed") != "true" || !strings.Contains(a.body, `"status":"succeeded"`) {
		t.Errorf("%d %v %s", a.status, a.header, a.body)
	}
}

func TestContentOfTheBody(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind, body, encoding string
		want                 string // words of the refusal, empty for none
	}{
		"JSON":               {"application/json", smallest, "", ""},
		"JSON in UTF-8":      {"Application/JSON; charset=UTF-8", smallest, "", ""},
		"identity":           {"application/json", smallest, "identity", ""},
		"a form":             {"application/x-www-form-urlencoded", smallest, "", "Content-Type: application/json"},
		"no type":            {"", smallest, "", "Content-Type: application/json"},
		"text":               {"text/plain", smallest, "", "Content-Type: application/json"},
		"no type at all":     {"application/json;;", smallest, "", "Content-Type: application/json"},
		"in Latin-1":         {"application/json; charset=iso-8859-1", smallest, "", "UTF-8"},
		"compressed":         {"application/json", smallest, "gzip", "Content-Encoding"},
		"nothing":            {"application/json", "", "", "body is empty"},
		"nothing but spaces": {"application/json", " \n\t", "", "body is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Config{Service: double{submit: submits(queued())}})
			headers := []string{"Content-Type", "", "Content-Encoding", c.encoding}
			if c.kind != "" {
				headers = append(headers, "Content-Type", c.kind)
			}
			a := h.do("POST", "/v1/jobs", c.body, headers...)
			if c.want == "" && a.status != 202 || c.want != "" && (a.status != 400 || !strings.Contains(a.problem(t).Detail, c.want)) {
				t.Errorf("%d %s, want %q", a.status, a.body, c.want)
			}
		})
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: double{submit: submits(queued())}, MaxBody: int64(len(smallest))})
	post := func(body io.Reader, length int64) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://penstock/v1/jobs", body)
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = length
		r.Header.Set("Content-Type", "application/json")
		// Past the contract, whose reading would make every length known.
		res, err := h.contract.inner.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		got, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer{status: res.StatusCode, header: res.Header, body: string(got)}
	}
	const unknown = -1
	for name, length := range map[string]int64{"known": int64(len(smallest)), "chunked": unknown} {
		if a := post(strings.NewReader(smallest), length); a.status != 202 {
			t.Errorf("%s, at the limit: %d %s", name, a.status, a.body)
		}
		if length != unknown {
			length++
		}
		a := post(strings.NewReader(smallest+" "), length)
		if a.status != 413 || a.problem(t).Code != "body_too_large" {
			t.Errorf("%s, one more: %d %s", name, a.status, a.body)
		}
	}
}

func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	h := start(t, Config{})
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/jobs", io.MultiReader(strings.NewReader(smallest[:10]), failingReader{}))
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.api.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "did not arrive whole") || strings.Contains(w.Body.String(), "broken") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

func TestQueryOfASubmissionIsRefused(t *testing.T) {
	t.Parallel()
	h := start(t, Config{})
	a := h.do("POST", "/v1/jobs?wait=30s", smallest)
	if a.status != 400 || !strings.Contains(a.problem(t).Detail, `"wait"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPreferredWait(t *testing.T) {
	t.Parallel()
	for want, given := range map[time.Duration][]string{
		0:                {"", "respond-async", "wait", "wait=", "wait=x", "wait=-1", "wait=1.5", "waits=5", "wait=0", "wait=9e9"},
		5 * time.Second:  {"wait=5", "WAIT=5", `wait="5"`, " wait = 5 ", "respond-async, wait=5", "wait=5; x=y", "wait=5, wait=9"},
		60 * time.Second: {"wait=60", "wait=61", "wait=4294967295"},
	} {
		for _, value := range given {
			if got := preferredWait(http.Header{"Prefer": {value}}); got != want {
				t.Errorf("Prefer: %s: %s, want %s", value, got, want)
			}
		}
	}
	if got := preferredWait(http.Header{"Prefer": {"respond-async", "wait=7"}}); got != 7*time.Second {
		t.Errorf("in a second line: %s", got)
	}
}

func TestPreferWait(t *testing.T) {
	t.Parallel()
	var asked time.Duration
	job := succeeded()
	service := double{submit: submits(queued()), wait: func(_ context.Context, atMost time.Duration) (jobs.Job, error) {
		asked = atMost
		return job, nil
	}}
	h := start(t, Config{Service: service})

	a := h.do("POST", "/v1/jobs", smallest, "Prefer", "wait=300")
	if a.status != 200 || asked != time.Minute || a.header.Get("Preference-Applied") != "wait=60" || a.header.Get("Vary") != "Prefer" ||
		a.header.Get("Location") != "/v1/jobs/"+someID || !strings.Contains(a.body, `"status":"succeeded"`) {
		t.Errorf("in time: %d %v %s, asked for %s", a.status, a.header, a.body, asked)
	}

	job = queued()
	job.Status = jobs.StatusRunning
	a = h.do("POST", "/v1/jobs", smallest, "Prefer", "wait=3")
	if a.status != 202 || asked != 3*time.Second || a.header.Get("Retry-After") != "1" || !strings.Contains(a.body, `"status":"running"`) {
		t.Errorf("not in time: %d %v %s", a.status, a.header, a.body)
	}
}

// Once a job is kept the caller hears of it, even if the store goes away while
// it waits.
func TestPreferWaitWhenTheStoreGoesAway(t *testing.T) {
	t.Parallel()
	service := failing(jobs.Unavailable(errors.New("dial: refused")))
	service.submit = submits(queued())
	h := start(t, Config{Service: service})
	a := h.do("POST", "/v1/jobs", smallest, "Prefer", "wait=5")
	if a.status != 202 || !strings.Contains(a.body, someID) {
		t.Errorf("%d %s", a.status, a.body)
	}
	if line := h.lines()[0]; line["cause"] != "dial: refused" {
		t.Errorf("log: %v", line)
	}
}

func TestTenants(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		trust   bool
		headers []string
		want    string // empty: refused
	}{
		"none, trusted":     {true, nil, "default"},
		"none, not trusted": {false, nil, "default"},
		"trusted":           {true, []string{"acme.eu_1-X"}, "acme.eu_1-X"},
		"not trusted":       {false, []string{"acme"}, "default"},
		"two, not trusted":  {false, []string{"a", "b"}, "default"},
		"64":                {true, []string{strings.Repeat("t", 64)}, strings.Repeat("t", 64)},
		"65":                {true, []string{strings.Repeat("t", 65)}, ""},
		"a space":           {true, []string{"a b"}, ""},
		"a slash":           {true, []string{"a/b"}, ""},
		"not ASCII":         {true, []string{"é"}, ""},
		"empty":             {true, []string{" "}, ""},
		"two":               {true, []string{"a", "b"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			ask := func(tenant string, _ uuid.UUID) { got = append(got, tenant) }
			service := granting()
			service.submit = func(n jobs.NewJob) (jobs.Submitted, error) {
				ask(n.Tenant, uuid.Nil)
				return jobs.Submitted{Job: queued()}, nil
			}
			service.list = func(q jobs.JobQuery) ([]jobs.Job, bool, error) { ask(q.Tenant, uuid.Nil); return nil, false, nil }
			service.job = func(tenant string, id uuid.UUID) (jobs.Job, error) { ask(tenant, id); return queued(), nil }
			service.cancel = service.job
			service.retry = func(tenant string, id uuid.UUID) (jobs.Submitted, error) {
				ask(tenant, id)
				return jobs.Submitted{Job: queued()}, nil
			}
			service.delete = func(tenant string, id uuid.UUID) error { ask(tenant, id); return nil }
			service.calls = func(tenant string, id uuid.UUID) ([]jobs.Call, error) { ask(tenant, id); return nil, nil }
			h := start(t, Config{Service: service, TrustTenantHeader: c.trust})
			const id = "/v1/jobs/" + someID
			for _, request := range []string{
				"POST /v1/jobs", "GET /v1/jobs", "GET " + id, "POST " + id + "/cancel", "POST " + id + "/retry",
				"DELETE " + id, "GET " + id + "/calls",
			} {
				got = nil
				method, path, _ := strings.Cut(request, " ")
				var headers []string
				for _, value := range c.headers {
					headers = append(headers, "Penstock-Tenant", value)
				}
				body := ""
				if path == "/v1/jobs" && method == "POST" {
					body = smallest
				}
				a := h.do(method, path, body, headers...)
				if c.want == "" {
					if a.status != 400 || !strings.Contains(a.body, "Penstock-Tenant") || got != nil {
						t.Errorf("%s: %d %s", request, a.status, a.body)
					}
				} else if a.status >= 300 || len(got) != 1 || got[0] != c.want {
					t.Errorf("%s: %d, asked as %q, want %q", request, a.status, got, c.want)
				}
			}
		})
	}
}

func TestNoBodyWhereNoneIsLookedAt(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: granting()})
	for _, path := range []string{"/cancel", "/retry"} {
		for body, want := range map[string]int{"": 202, "{}": 202, " {}\n": 202, `{"reason":"x"}`: 400, "x": 400} {
			r, err := http.NewRequestWithContext(t.Context(), "POST", "http://penstock/v1/jobs/"+someID+path, bytes.NewReader([]byte(body)))
			if err != nil {
				t.Fatal(err)
			}
			if a, err := h.send(r); err != nil || a.status != want {
				t.Errorf("%s with %q: %d %v, want %d", path, body, a.status, err, want)
			}
		}
	}
}
