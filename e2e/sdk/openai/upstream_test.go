// Package openai_test has OpenAI's SDKs talk to Penstock.
package openai_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/e2e/sdk/sdktest"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// kinds are models that fail, each as it is named, beside slow, which takes a second or
// so for an answer.
var kinds = []string{
	"authentication", "bad_request", "context_length", "not_found", "permission", "quota_exhausted", "server_error", "truncated",
}

// upstream is a provider whose models behave as they are named.
type upstream map[string]*simulated.Server

// start starts a Penstock with such a provider, named odd, beside those that it has.
func start(t *testing.T) (*sdktest.Stack, upstream) {
	t.Helper()
	u := upstream{"slow": simulate(t, simulated.Faults{
		PerToken: simulated.Duration(20 * time.Millisecond), OutputTokens: simulated.Range{Min: 40, Max: 50},
	})}
	for _, kind := range kinds {
		u[kind] = simulate(t, simulated.Faults{Errors: map[string]float64{kind: 1}, OutputTokens: simulated.Range{Min: 20, Max: 20}})
	}
	server := httptest.NewServer(u)
	t.Cleanup(server.Close)
	s := sdktest.Start(t, fmt.Sprintf(`
  odd: {type: openai, base_url: %[1]s/v1, endpoints: [chat/completions, embeddings, responses]}
  chatty: {type: openai, base_url: %[1]s/v1}`, server.URL), routes())
	return s, u
}

// routes make one call each: a failure is not tried again.
func routes() (lines string) {
	for _, kind := range kinds {
		lines += fmt.Sprintf("  %[1]s: {targets: [odd/%[1]s], max_attempts: 1}\n", kind)
	}
	return lines
}

func simulate(t *testing.T, faults simulated.Faults) *simulated.Server {
	t.Helper()
	s, err := simulated.New(simulated.Config{Faults: &faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (u upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var asked struct {
		Model string `json:"model"`
	}
	if err != nil || json.Unmarshal(body, &asked) != nil || u[asked.Model] == nil {
		http.Error(w, "no such model", http.StatusNotFound)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	u[asked.Model].ServeHTTP(w, r)
}
