package httpapi

import (
	"context"
	"errors"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// operator is Lanes that remember what was done to them.
type operator struct {
	all    []Lane
	err    error
	done   []string
	limits *LimitsWanted
}

func (o *operator) List(context.Context) ([]Lane, error) { return o.all, o.err }

func (o *operator) act(what string, n LaneName) error {
	o.done = append(o.done, what+" "+n.Target+n.Pool)
	return o.err
}

func (o *operator) Pause(_ context.Context, n LaneName) error  { return o.act("pause", n) }
func (o *operator) Drain(_ context.Context, n LaneName) error  { return o.act("drain", n) }
func (o *operator) Resume(_ context.Context, n LaneName) error { return o.act("resume", n) }

func (o *operator) SetLimits(_ context.Context, pool string, l *LimitsWanted) error {
	o.limits = l
	return o.act("limit", LaneName{Pool: pool})
}

// onLoopback is an API with lanes on a loopback address, whose answers are held
// against openapi.yaml.
func onLoopback(t *testing.T, cfg Config) (do func(method, path, body string, change func(*http.Request)) answer, c *contract) {
	t.Helper()
	server := httptest.NewServer(start(t, cfg).api)
	t.Cleanup(server.Close)
	c = newContract(t, server.Client().Transport)
	h := &harness{t: t, client: &http.Client{Transport: c}}
	return func(method, path, body string, change func(*http.Request)) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		if change != nil {
			change(r)
		}
		got, err := h.send(r)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}, c
}

func TestLanesTellAStory(t *testing.T) {
	t.Parallel()
	const none = math.MaxInt64
	o := &operator{all: []Lane{
		{
			LaneName: LaneName{"a/m", "a"}, State: "breaker_open", For: 12440 * time.Millisecond, Openings: 2, Normal: 0.01, Bad: 5,
			Total:   Percentiles{time.Second, 2 * time.Second, 3 * time.Second},
			Limits:  LaneLimits{RequestsPerMinute: 500, Concurrency: 64},
			Learned: LaneLimits{RequestsPerMinute: 60, InputTokensPerMinute: 1000},
			Left:    LaneLimits{RequestsPerMinute: 7, InputTokensPerMinute: none, OutputTokensPerMinute: none, Concurrency: 3},
		},
		{LaneName: LaneName{"b/m", "b"}, State: "open"},
	}}
	do, _ := onLoopback(t, Config{Lanes: o})
	got := do(http.MethodGet, "/v1/lanes", "", nil)
	if got.status != http.StatusOK {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	for _, want := range []string{
		`"state":"breaker_open"`, `"opens_in":"12.4s"`, `"requests_per_minute":{"limit":60,"source":"provider","left":7}`,
		`"input_tokens_per_minute":{"limit":1000,"source":"provider","left":null}`,
		`"concurrency":{"limit":64,"source":"configuration","left":3}`, `"openings":2`, `"bad":5`, `"latency":{"total":{"p50":1,"p95":2,"p99":3},"first_token":null,"queue":null}`,
		`"target":"b/m","pool":"b","state":"open","reason":"calls are let through","opens_in":null,"limits":{}`,
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("the answer lacks %s:\n%s", want, got.body)
		}
	}
}

func TestOperatorsActOnLanes(t *testing.T) {
	t.Parallel()
	o := &operator{}
	do, _ := onLoopback(t, Config{Lanes: o})
	for _, c := range []struct {
		method, path, body string
		status             int
		done, says         string
	}{
		{"POST", "/v1/lanes/pause", `{"target":"a/m"}`, 204, "pause a/m", ""},
		{"POST", "/v1/lanes/drain", `{"pool":"a"}`, 204, "drain a", ""},
		{"POST", "/v1/lanes/resume", `{"target":"a/m"}`, 204, "resume a/m", ""},
		{"PUT", "/v1/lanes/limits", `{"pool":"a","limits":{"rpm":5}}`, 204, "limit a", ""},
		{"PUT", "/v1/lanes/limits", `{"pool":"a","limits":null}`, 204, "limit a", ""},
		{"POST", "/v1/lanes/pause", `{}`, 400, "", "one of the two"},
		{"POST", "/v1/lanes/pause", `{"target":"a/m","pool":"a"}`, 400, "", "one of the two"},
		{"POST", "/v1/lanes/pause", `{"lane":"a/m"}`, 400, "", "unknown field"},
		{"POST", "/v1/lanes/pause", `{"target":"a/m","target":"b/m"}`, 400, "", "twice"},
		{"POST", "/v1/lanes/pause", `{"target":5}`, 400, "", "/target: must be a string"},
		{"POST", "/v1/lanes/pause", `[]`, 400, "", "must be a JSON object"},
		{"PUT", "/v1/lanes/limits", `{"pool":"a"}`, 400, "", "/limits"},
		{"PUT", "/v1/lanes/limits", `{"limits":null}`, 400, "", "/pool: is required"},
		{"PUT", "/v1/lanes/limits", `{"pool":"a","limits":[]}`, 400, "", "/limits: must be a JSON object"},
		{"PUT", "/v1/lanes/limits", `{"pool":"a","limits":{"rpm":1.5}}`, 400, "", "/limits/rpm: must be a whole number"},
		{"PUT", "/v1/lanes/limits", `{"pool":"a","limits":{"rps":1}}`, 400, "", "unknown field"},
	} {
		o.done = nil
		answer := do(c.method, c.path, c.body, nil)
		if answer.status != c.status || !strings.Contains(answer.body, c.says) {
			t.Errorf("%s %s %s: got %d %s, want %d and %q",
				c.method, c.path, c.body, answer.status, answer.body, c.status, c.says)
		}
		if got := strings.Join(o.done, ","); got != c.done {
			t.Errorf("%s %s %s: did %q, want %q", c.method, c.path, c.body, got, c.done)
		}
	}
	if o.limits != nil {
		t.Errorf("limits %+v after null, want none", o.limits)
	}
}

// TestLanesAreForWhoIsOnTheMachine: tenants neither see nor stop them.
func TestLanesAreForWhoIsOnTheMachine(t *testing.T) {
	t.Parallel()
	o := &operator{}
	h := start(t, Config{Lanes: o})
	for path, method := range map[string]string{
		"/v1/lanes": "GET", "/v1/lanes/pause": "POST", "/v1/lanes/drain": "POST", "/v1/lanes/resume": "POST", "/v1/lanes/limits": "PUT",
	} {
		r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+path, strings.NewReader(`{"pool":"a","limits":null}`))
		r.RemoteAddr = "203.0.113.9:4711"
		w := httptest.NewRecorder()
		h.api.ServeHTTP(w, r)
		if w.Code != http.StatusForbidden || len(o.done) != 0 {
			t.Errorf("%s %s from elsewhere: got %d and did %v, want 403 and nothing", method, path, w.Code, o.done)
		}
	}
}

// laneAnswers gives every documented answer of the operations on lanes.
func laneAnswers(t *testing.T) map[string]bool {
	t.Helper()
	seen := map[string]bool{}
	elsewhere := func(r *http.Request) { r.Host = "api.example.org" }
	away := &jobs.Error{Code: CodeLanesUnavailable, Message: "Redis cannot be reached", Err: errors.New("dial 10.0.0.7")}
	for _, c := range []struct {
		err    error
		bodies int64
		body   string
		change func(*http.Request)
	}{
		{body: `{"pool":"a"}`},
		{body: `{"pool":"a","limits":null}`},
		{body: `{}`},
		{body: `{"pool":"` + strings.Repeat("a", maxOperation) + `"}`},
		{body: `{"pool":"a"}`, bodies: 1},
		{body: `{"pool":"a"}`, change: elsewhere},
		{body: `{"pool":"a"}`, err: away},
		{body: `{"pool":"a","limits":null}`, err: away},
		{body: `{"pool":"a"}`, err: errors.New("defect")},
		{body: `{"pool":"a","limits":null}`, err: errors.New("defect")},
	} {
		do, contract := onLoopback(t, Config{Lanes: &operator{err: c.err}, MaxBodies: c.bodies})
		do(http.MethodGet, "/v1/lanes", "", c.change)
		do(http.MethodPut, "/v1/lanes/limits", c.body, c.change)
		for _, what := range []string{"pause", "drain", "resume"} {
			if got := do(http.MethodPost, "/v1/lanes/"+what, c.body, c.change); strings.Contains(got.body, "10.0.0.7") {
				t.Errorf("the answer names an address: %s", got.body)
			}
		}
		maps.Copy(seen, contract.seen)
	}
	return seen
}
