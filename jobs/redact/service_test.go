package redact_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/redact"
)

func sent() jobs.Sent {
	return jobs.Sent{
		Tenant: "acme", Endpoint: "/v1/chat/completions", Request: json.RawMessage(`{"model":"m","a":"secret"}`),
		Metadata: map[string]string{"k": "secret"}, User: "secret",
	}
}

// serve answers questions until the test ends, and returns a redactor that asks.
func serve(t *testing.T, c redact.ServiceConfig, answer http.HandlerFunc) *redact.Service {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	c.URL = server.URL + "/redact?token=hunter2"
	s, err := redact.NewService(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

const good = `{"request": {"model":"m","a":"[gone]"}, "metadata": {"k":"[gone]"}, "user": "[gone]"}`

func TestServiceIsAsked(t *testing.T) {
	t.Parallel()
	s := serve(t, redact.ServiceConfig{APIKey: "hunter2"}, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		const want = `{"tenant":"acme","endpoint":"/v1/chat/completions","request":{"model":"m","a":"secret"},` +
			`"metadata":{"k":"secret"},"user":"secret"}`
		if err != nil || string(body) != want || r.Method != http.MethodPost {
			t.Errorf("asked %s %s, %v, want %s", r.Method, body, err, want)
		}
		if r.Header.Get("Authorization") != "Bearer hunter2" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("headers: got %v", r.Header)
		}
		_, _ = io.WriteString(w, good)
	})
	got, err := s.Redact(t.Context(), sent())
	if err != nil || strings.Contains(string(got.Request)+got.Metadata["k"]+got.User, "secret") {
		t.Errorf("got %+v, %v", got, err)
	}
	if got.Tenant != "acme" || got.Endpoint != "/v1/chat/completions" {
		t.Errorf("got %+v, want tenant and endpoint as they were", got)
	}
}

// Whatever is wrong with an answer, nothing of what was sent comes out, and the
// error quotes neither question nor answer nor the service's address.
func TestServiceFailsClosed(t *testing.T) {
	t.Parallel()
	const quoted = "quoted-from-the-answer"
	write := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"an error":         {write(500, quoted), "status 500"},
		"no content":       {write(204, ""), "status 204"},
		"a redirect":       {write(307, good), "status 307"},
		"nothing":          {write(200, ""), "not a JSON object"},
		"not JSON":         {write(200, quoted), "not a JSON object"},
		"more than JSON":   {write(200, good+quoted), "more follows"},
		"no request":       {write(200, `{"metadata":{},"user":""}`), "lacks"},
		"no metadata":      {write(200, `{"request":{},"user":"","metadata":null}`), "lacks"},
		"no user":          {write(200, `{"request":{},"metadata":{}}`), "lacks"},
		"an unknown field": {write(200, `{"request":{},"metadata":{},"user":"","`+quoted+`":1}`), "not a JSON object"},
		"too much":         {write(200, `{"user":"`+strings.Repeat("x", 70<<10)+`"}`), "longer than"},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, good)
		}, "unexpected EOF"},
	} {
		s := serve(t, redact.ServiceConfig{}, c.answer)
		got, err := s.Redact(t.Context(), sent())
		if err == nil || !strings.Contains(err.Error(), c.want) || got.Request != nil || got.User != "" || got.Metadata != nil {
			t.Errorf("%s: got %+v, %v, want %q", name, got, err, c.want)
		}
		for _, private := range []string{quoted, "secret", "hunter2", "127.0.0.1/"} {
			if err != nil && strings.Contains(err.Error(), private) {
				t.Errorf("%s: the error quotes %q: %v", name, private, err)
			}
		}
	}
}

func TestServiceThatIsLateOrGone(t *testing.T) {
	t.Parallel()
	hangs := make(chan struct{})
	defer close(hangs)
	s := serve(t, redact.ServiceConfig{Timeout: 20 * time.Millisecond}, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-hangs:
		case <-r.Context().Done():
		}
	})
	if _, err := s.Redact(t.Context(), sent()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("late: got %v, want %v", err, context.DeadlineExceeded)
	}
	gone, err := redact.NewService(redact.ServiceConfig{URL: "http://user:hunter2@127.0.0.1:1/x?token=hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	if _, err := gone.Redact(t.Context(), sent()); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("gone: got %v, want an error without its password", err)
	}
}

func TestWrongServiceConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []redact.ServiceConfig{
		{},
		{URL: "redact.internal"},
		{URL: "ftp://x"},
		{URL: "http://"},
		{URL: "http://x", Timeout: -1},
		{URL: "http://x", Timeout: redact.MaxTimeout + 1},
	} {
		if _, err := redact.NewService(c); err == nil {
			t.Errorf("%+v was taken", c)
		}
	}
}

// All of a chain see a submission, in order; when one fails the next is not
// asked.
func TestChain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := serve(t, redact.ServiceConfig{}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked.Add(1)
		if strings.Contains(string(body), "secret") {
			t.Errorf("the service is asked with %s, want it redacted", body)
		}
		w.WriteHeader(http.StatusBadGateway)
	})
	never := redactorFunc(func(jobs.Sent) (jobs.Sent, error) {
		t.Error("asked after a failure")
		return jobs.Sent{}, nil
	})
	c := redact.Chain(rulesOf(t, redact.Rule{Pattern: "secret", Replace: "x"}), s, never)
	if got, err := c.Redact(t.Context(), sent()); err == nil || got.Request != nil || asked.Load() != 1 {
		t.Errorf("got %+v, %v after %d questions, want a failure after 1", got, err, asked.Load())
	}
}

type redactorFunc func(jobs.Sent) (jobs.Sent, error)

func (f redactorFunc) Redact(_ context.Context, s jobs.Sent) (jobs.Sent, error) { return f(s) }
