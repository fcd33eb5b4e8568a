package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/surface"
)

// shape is a surface of two routes. It says what it refuses in words of its own.
type shape struct {
	serve  http.HandlerFunc
	routes []string
}

func (s shape) Routes() []string {
	if s.routes != nil {
		return s.routes
	}
	return []string{"GET /v1/things/{id}", "POST /v1/things"}
}

func (s shape) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.serve(w, r) }

func (s shape) Refuse(w http.ResponseWriter, r *http.Request, err error) {
	e := surface.Known(err)
	surface.CallerOf(r.Context()).Code = e.Code
	w.WriteHeader(http.StatusTeapot)
	fmt.Fprintf(w, "refused: %s", e.Code)
}

// mountShape starts an API with a surface, and without the contract: its shapes are its
// own.
func mountShape(t *testing.T, cfg Config, serve http.HandlerFunc) *harness {
	t.Helper()
	cfg.Surfaces = []surface.Surface{shape{serve: serve}}
	h := start(t, cfg)
	h.client = &http.Client{Transport: h.contract.inner}
	return h
}

func TestASurfaceIsServedUnderTheMiddleware(t *testing.T) {
	t.Parallel()
	job := uuid.MustParse(someID)
	h := mountShape(t, Config{TrustTenantHeader: true}, func(w http.ResponseWriter, r *http.Request) {
		c := surface.CallerOf(r.Context())
		c.Job = job
		fmt.Fprintf(w, "%s %s", c.Tenant, c.RequestID)
	})
	a := h.do("GET", "/v1/things/1", "", "Penstock-Tenant", "acme", "X-Request-Id", "r-1")
	if a.status != 200 || a.body != "acme r-1" || a.header.Get("X-Request-Id") != "r-1" {
		t.Errorf("got %d %q %v", a.status, a.body, a.header)
	}
	line := h.lines()[0]
	for name, want := range map[string]any{
		"route": "/v1/things/:id", "tenant": "acme", "job": someID, "request_id": "r-1", "method": "GET", "status": 200.0,
	} {
		if line[name] != want {
			t.Errorf("in the log %s is %v, want %v", name, line[name], want)
		}
	}
}

func TestASurfaceRefusesInItsOwnShape(t *testing.T) {
	t.Parallel()
	h := mountShape(t, Config{Hosts: []string{"penstock"}, TrustTenantHeader: true}, func(http.ResponseWriter, *http.Request) {
		panic("at serving")
	})
	for _, c := range []struct{ method, path, header, value, want string }{
		{"GET", "/v1/things", "", "", "method_not_allowed"},
		{"DELETE", "/v1/things/1", "", "", "method_not_allowed"},
		{"GET", "/v1/things/1/2", "", "", "not_found"},
		{"GET", "/v1/things/", "", "", "not_found"},
		{"GET", "/v1/things//1", "", "", "not_found"},
		{"GET", "/v1/things/1", "Penstock-Tenant", "no tenant", "invalid_field"},
		{"GET", "/v1/things/1", "", "", "internal"},
	} {
		a := h.do(c.method, c.path, "", c.header, c.value)
		if a.status != http.StatusTeapot || a.body != "refused: "+c.want {
			t.Errorf("%s %s: got %d %s, want %s", c.method, c.path, a.status, a.body, c.want)
		}
		if allow := a.header.Get("Allow"); c.want == "method_not_allowed" && allow == "" {
			t.Errorf("%s %s: no header Allow", c.method, c.path)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), "GET", "http://penstock/v1/things/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "elsewhere"
	if a, err := h.send(r); err != nil || a.body != "refused: forbidden" {
		t.Errorf("got %+v, error %v", a, err)
	}
	if p := h.do("GET", "/v1/thing", "").problem(t); p.Code != "not_found" {
		t.Errorf("beside the surface: got %+v", p)
	}
	lines := h.lines()
	if got := lines[2]["route"]; got != "none" || lines[2]["code"] != "not_found" {
		t.Errorf("the log of an unknown path has route %v, code %v", got, lines[2]["code"])
	}
	if lines[6]["stack"] == nil || lines[6]["code"] != "internal" {
		t.Errorf("the log of a panic is %v", lines[6])
	}
}

func TestASurfaceReadsWhatIsBounded(t *testing.T) {
	t.Parallel()
	h := mountShape(t, Config{MaxBody: 10}, func(w http.ResponseWriter, r *http.Request) {
		c := surface.CallerOf(r.Context())
		if r.Header.Get("Upload") != "" {
			n, err := io.Copy(io.Discard, c.Server.Upload(20))
			fmt.Fprintf(w, "%d %v", n, err)
			return
		}
		body, done, err := c.Server.ReadBody()
		if err != nil {
			fmt.Fprint(w, surface.Known(err).Code)
			return
		}
		defer done()
		_, _ = w.Write(body)
	})
	json := []string{"Content-Type", "application/json"}
	for _, c := range []struct {
		body, want string
		headers    []string
	}{
		{`{"a":1}`, `{"a":1}`, json},
		{`{"a":"too long"}`, "body_too_large", json},
		{``, "invalid_field", json},
		{`{}`, "invalid_field", []string{"Content-Type", "text/plain"}},
		{"twenty bytes and nine", "20 body_too_large: the body may have at most 20 bytes", []string{"Upload", "1"}},
		{"twenty bytes to read", "20 <nil>", []string{"Upload", "1"}},
	} {
		if a := h.do("POST", "/v1/things", c.body, c.headers...); a.body != c.want {
			t.Errorf("%q: got %q, want %q", c.body, a.body, c.want)
		}
	}
	if used := h.api.bodies.used.Load(); used != 0 {
		t.Errorf("%d bytes are still counted", used)
	}
}

func TestASurfaceWaitsForAPlace(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	h := mountShape(t, Config{MaxWaiters: 1}, func(w http.ResponseWriter, r *http.Request) {
		ctx, leave, err := surface.CallerOf(r.Context()).Server.Wait()
		if err != nil {
			fmt.Fprint(w, surface.Known(err).Code)
			return
		}
		defer leave()
		close(entered)
		<-ctx.Done()
		fmt.Fprint(w, r.Context().Err())
	})
	first := make(chan answer, 1)
	go func() {
		a, err := h.try(t.Context(), "GET", "/v1/things/1", http.NoBody)
		if err != nil {
			t.Error(err)
		}
		first <- a
	}()
	<-entered
	if a := h.do("GET", "/v1/things/2", ""); a.body != "rate_limited" {
		t.Errorf("the second: got %q", a.body)
	}
	h.stop()
	if a := <-first; a.body != "<nil>" {
		t.Errorf("the first: got %q, want it woken with its request alive", a.body)
	}
}

// An answer that is not whole closes the connection.
func TestASurfaceThatBreaksOff(t *testing.T) {
	t.Parallel()
	h := mountShape(t, Config{}, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "silent") {
			return
		}
		e := surface.NewEvents(w, time.Minute)
		e.Add("", []byte("{\n}"))
		if err := e.Flush(); err != nil {
			t.Error(err)
		}
		surface.CallerOf(r.Context()).Aborted = true
	})
	if a, err := h.try(t.Context(), "GET", "/v1/things/begun", http.NoBody); !errors.Is(err, io.ErrUnexpectedEOF) || a.body != "data: {}\n\n" {
		t.Errorf("got %q, error %v", a.body, err)
	}
	if a, err := h.try(t.Context(), "GET", "/v1/things/silent", http.NoBody); err == nil {
		t.Errorf("got %+v, want the connection closed", a)
	}
	for _, line := range h.lines() {
		if line["status"] != 499.0 {
			t.Errorf("the log has status %v", line["status"])
		}
	}
}

func TestASurfaceNeedsPatternsOfTwoSegments(t *testing.T) {
	t.Parallel()
	for _, pattern := range []string{"/v1/things", "GET /v1"} {
		_, err := New(Config{Store: ping{}, Surfaces: []surface.Surface{shape{routes: []string{pattern}}}})
		if err == nil || !strings.Contains(err.Error(), pattern) {
			t.Errorf("%s: got %v", pattern, err)
		}
	}
}
