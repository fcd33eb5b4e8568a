package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/jobs"
)

func TestReady(t *testing.T) {
	t.Parallel()
	away := ping{errors.New("dial 10.0.0.7: refused")}
	for name, c := range map[string]struct {
		store, queue Pinger
		status       int
		body         string
	}{
		"both there":    {ping{}, ping{}, 200, `{"status":"ok","parts":{"queue":"ok","store":"ok"}}`},
		"no queue":      {ping{}, nil, 200, `{"status":"ok","parts":{"store":"ok"}}`},
		"queue away":    {ping{}, away, 200, `{"status":"degraded","parts":{"queue":"unavailable","store":"ok"}}`},
		"store away":    {away, ping{}, 503, `{"status":"unavailable","parts":{"queue":"ok","store":"unavailable"}}`},
		"both are away": {away, away, 503, `{"status":"unavailable","parts":{"queue":"unavailable","store":"unavailable"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Config{Store: c.store, Queue: c.queue})
			if a := h.do("GET", "/readyz", ""); a.status != c.status || a.body != c.body+"\n" {
				t.Errorf("%d %s, want %d %s", a.status, a.body, c.status, c.body)
			}
			if a := h.do("GET", "/healthz", ""); a.status != 200 {
				t.Errorf("/healthz: %d", a.status)
			}
			line := h.lines()[0]
			if cause, told := line["cause"]; told != (c.store == away || c.queue == away) || told && cause != away.err.Error() {
				t.Errorf("log: %v", line)
			}
		})
	}
}

type slowPing struct{}

func (slowPing) Ping(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func TestReadyDoesNotHang(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Store: slowPing{}})
		began := time.Now()
		if a := h.do("GET", "/readyz", ""); a.status != 503 || time.Since(began) != 2*time.Second {
			t.Errorf("%d after %s", a.status, time.Since(began))
		}
	})
}

// A worker has no Service: it serves health and metrics, and no jobs.
func TestWithoutService(t *testing.T) {
	t.Parallel()
	api, err := New(Config{Store: ping{}})
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, client: &http.Client{Transport: direct{api}}}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 200, "/metrics": 200, "/v1/jobs": 404, "/openapi.yaml": 404} {
		if a := h.do("GET", path, ""); a.status != want {
			t.Errorf("%s: %d, want %d", path, a.status, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	service := granting()
	service.submit = func(jobs.NewJob) (jobs.Submitted, error) { panic("x") }
	h := start(t, Config{Service: service})
	h.do("GET", jobPath, "")
	h.do("GET", "/v1/jobs/another", "")
	h.do("POST", "/v1/jobs", smallest)
	h.do("GET", "/nowhere/"+someID, "")
	h.do("PUT", "/v1/jobs", "")
	h.do("BREW", "/v1/jobs", "")
	got := h.do("GET", "/metrics", "").body
	for _, want := range []string{
		`http_requests_total{code="200",method="GET",route="/v1/jobs/:id"} 1`,
		`http_requests_total{code="404",method="GET",route="/v1/jobs/:id"} 1`,
		`http_requests_total{code="500",method="POST",route="/v1/jobs"} 1`,
		`http_requests_total{code="404",method="GET",route="none"} 1`,
		`http_requests_total{code="405",method="PUT",route="/v1/jobs"} 1`,
		`http_requests_total{code="405",method="other",route="/v1/jobs"} 1`,
		`http_request_duration_seconds_count{method="GET",route="/v1/jobs/:id"} 2`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	for _, hidden := range []string{someID, "BREW", "nowhere", "another"} {
		if strings.Contains(got, hidden) {
			t.Errorf("a label tells %q", hidden)
		}
	}
}

func TestGivenMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, "mine")
	})
	h := start(t, Config{Metrics: handler, Registerer: registry})
	if a := h.do("GET", "/metrics", ""); a.body != "mine" {
		t.Errorf("body %q", a.body)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 2 {
		t.Errorf("%d families, %v", len(families), err)
	}
}

// Of what a caller sends the log has names only: no prompt, metadata, user,
// key, query, nor a word of what was wrong with them.
func TestLog(t *testing.T) {
	t.Parallel()
	service := granting()
	h := start(t, Config{Service: service, TrustTenantHeader: true})
	const secret = "s3cret"
	body := strings.ReplaceAll(`{"request":{"model":"*","messages":["*"]},"metadata":{"*":"*"},"user":"*"}`, "*", secret)
	h.do("POST", "/v1/jobs", body,
		"Idempotency-Key", secret, "Penstock-Tenant", "acme", "X-Request-Id", "mine", "Authorization", secret)
	h.do("POST", "/v1/jobs", `{"`+secret+`":1,"request":{"`+secret+`":1}}`)
	h.do("GET", "/v1/jobs?metadata["+secret+"]="+secret+"&model="+secret, "")
	h.do("GET", "/v1/jobs?"+secret+"=1", "")
	h.do("GET", "/"+secret, "")
	h.do("GET", jobPath, "", "If-None-Match", secret)
	lines := h.lines()
	if len(lines) != 6 || strings.Contains(h.log.String(), secret) {
		t.Fatalf("%d lines:\n%s", len(lines), h.log.String())
	}
	first := lines[0]
	for name, want := range map[string]any{
		"level": "info", "request_id": "mine", "method": "POST", "route": "/v1/jobs", "status": 202.0,
		"tenant": "acme", "job": someID, "message": "request",
	} {
		if first[name] != want {
			t.Errorf("%s: %v, want %v", name, first[name], want)
		}
	}
	if first["bytes"].(float64) < 100 || first["duration_ms"] == nil || first["code"] != nil || first["cause"] != nil {
		t.Errorf("first line: %v", first)
	}
	if lines[1]["code"] != "invalid_field" || lines[1]["status"] != 400.0 || lines[4]["route"] != "none" {
		t.Errorf("lines: %v", lines)
	}
}

func TestLogHasTheCause(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: failing(fmt.Errorf("list jobs: %w", jobs.Unavailable(errors.New("dial: refused"))))})
	h.do("GET", "/v1/jobs", "")
	line := h.lines()[0]
	if line["level"] != "error" || line["code"] != "store_unavailable" || line["cause"] != "dial: refused" {
		t.Errorf("line: %v", line)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	handler := http.NotFoundHandler()
	taken := prometheus.NewRegistry()
	if _, err := New(Config{Store: ping{}, Metrics: handler, Registerer: taken}); err != nil {
		t.Fatal(err)
	}
	for want, cfg := range map[string]Config{
		"Store":        {},
		"Metrics":      {Store: ping{}, Metrics: handler},
		"Registerer":   {Store: ping{}, Registerer: prometheus.NewRegistry()},
		"MaxBody":      {Store: ping{}, MaxBody: -1},
		"MaxWaiters":   {Store: ping{}, MaxWaiters: -1},
		"StoreTimeout": {Store: ping{}, StoreTimeout: -1},
		"DrainDelay":   {Store: ping{}, DrainDelay: -1},
		"register":     {Store: ping{}, Metrics: handler, Registerer: taken},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	api, err := New(Config{Store: ping{}, Log: zerolog.Nop()})
	if err != nil || api.cfg.MaxBody != 8<<20 || api.cfg.MaxWaiters != 20_000 || api.cfg.DrainTimeout != 30*time.Second {
		t.Errorf("defaults: %+v, %v", api.cfg, err)
	}
}
