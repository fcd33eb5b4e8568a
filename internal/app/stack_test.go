package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/internal/memnet"
)

// stack is a whole embedded Penstock inside a bubble, and a client of its API.
type stack struct {
	t      *testing.T
	app    *App
	client *http.Client
}

// startStack starts the stack on what lies in dir; logs must stay below error.
func startStack(t *testing.T, dir string, file File) *stack {
	t.Helper()
	file.Hosts = []string{"penstock"}
	file.fillDefaults()
	if err := file.validate(); err != nil {
		t.Fatal(err)
	}
	c := Config{
		Role: RoleEmbedded, Addr: "127.0.0.1:0", PublicURL: "http://penstock.test", DataDir: dir,
		DatabaseURL: "sqlite://" + filepath.Join(dir, "penstock.db") + "?synchronous=normal", File: file,
	}
	l := memnet.Listen()
	log := zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel)
	a, err := start(t.Context(), c, log, func(context.Context, string) (net.Listener, error) { return l, nil })
	if err != nil {
		t.Fatal(err)
	}
	return &stack{t: t, app: a, client: &http.Client{Transport: &http.Transport{DialContext: l.DialContext}}}
}

func (s *stack) stop() {
	s.client.CloseIdleConnections()
	if err := s.app.Stop(); err != nil {
		s.t.Errorf("stop: %v", err)
	}
}

// answer is what the tests look at of a job.
type answer struct {
	ID           string          `json:"id"`
	Status       string          `json:"status"`
	Deduplicated bool            `json:"deduplicated"`
	Cached       bool            `json:"cached"`
	Tries        int             `json:"tries"`
	FinishedAt   time.Time       `json:"finished_at"`
	Store        bool            `json:"store"`
	Result       json.RawMessage `json:"result"`
	Error        *struct {
		Code string `json:"code"`
	} `json:"error"`
	// Data is set in the answer to a list.
	Data []answer `json:"data"`
}

func (s *stack) do(method, path, body string) answer {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, "http://penstock"+path, bytes.NewBufferString(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		s.t.Fatalf("%s %s: %s: %s (%v)", method, path, resp.Status, raw, err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (s *stack) submit(prompt, extra string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, "/v1/jobs", fmt.Sprintf(
		`{"request":{"model":"default","messages":[{"role":"user","content":%q}]}%s}`, prompt, extra))
}

// submitTo submits a job like no other.
func (s *stack) submitTo(model string) answer {
	s.t.Helper()
	return s.do(http.MethodPost, "/v1/jobs", fmt.Sprintf(
		`{"request":{"model":%q,"messages":[{"role":"user","content":"hello"}]},"dedupe":false}`, model))
}

func (s *stack) wait(id string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, "/v1/jobs/"+id+"?wait=60s", "")
}

func (s *stack) waitUntilEnded(id string) {
	s.t.Helper()
	for a := s.wait(id); a.Status == "queued" || a.Status == "running"; {
		a = s.wait(id)
	}
}
