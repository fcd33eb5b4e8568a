package client_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/client"
	"github.com/penstock-dev/penstock/internal/app"
)

// penstock is where a whole Penstock listens, which all tests share: each has a tenant of
// its own.
var penstock string

const configuration = `
providers:
  sim:  {type: simulated, faults: %[1]s/quick.json, models: [sim-1]}
  slow: {type: simulated, faults: %[1]s/slow.json, models: [slow-1]}
  some: {type: simulated, faults: %[1]s/some.json, models: [some-1]}
  bad:  {type: simulated, faults: %[1]s/bad.json, models: [bad-1]}
routes:
  default: {targets: [sim/sim-1]}
  slow:    {targets: [slow/slow-1]}
  some:    {targets: [some/some-1]}
  bad:     {targets: [bad/bad-1]}
`

func TestMain(m *testing.M) {
	code, err := runIn(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// runIn runs the tests while a Penstock serves.
func runIn(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "penstock-client-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	for name, content := range map[string]string{
		"penstock.yaml": fmt.Sprintf(configuration, dir),
		"quick.json":    `{"output_tokens": {"min": 3, "max": 9}}`,
		"slow.json":     `{"latency": "100ms", "per_token": "40ms", "output_tokens": {"min": 60, "max": 60}}`,
		"some.json":     `{"latency": "200ms", "per_token": "10ms", "output_tokens": {"min": 20, "max": 20}}`,
		"bad.json":      `{"errors": {"bad_request": 1}}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return 1, err
		}
	}
	env := map[string]string{
		"PENSTOCK_ADDR": "127.0.0.1:0", "PENSTOCK_DATA_DIR": dir, "PENSTOCK_CONFIG": dir + "/penstock.yaml",
	}
	system, err := app.Start(context.Background(), app.RoleEmbedded, func(name string) string { return env[name] }, io.Discard)
	if err != nil {
		return 1, err
	}
	penstock = "http://" + system.Addr()
	return m.Run(), system.Stop()
}

// newClient returns a client of a tenant of its own. at is where it asks; empty: Penstock.
func newClient(t *testing.T, at string, options ...client.Option) *client.Client {
	t.Helper()
	if at == "" {
		at = penstock
	}
	c, err := client.New(at, append([]client.Option{client.WithTenant(uuid.NewString())}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// chat is a request of the given model that no other test makes.
func chat(model, prompt string) map[string]any {
	return map[string]any{"model": model, "messages": []any{map[string]any{"role": "user", "content": prompt}}}
}

// completion is what the tests look at of an answer.
type completion struct {
	Choices []struct {
		Message struct{ Content string }
	}
}

// between is something between client and Penstock: handle does as it likes with a
// request, and passes it on by next.
func between(t *testing.T, handle func(w http.ResponseWriter, r *http.Request, next http.Handler)) string {
	t.Helper()
	to, err := url.Parse(penstock)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handle(w, r, proxy) }))
	t.Cleanup(server.Close)
	return server.URL
}

// lost passes a request on and loses its answer.
func lost(r *http.Request, next http.Handler) {
	next.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// bounded is a context for what takes a moment.
func bounded(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
