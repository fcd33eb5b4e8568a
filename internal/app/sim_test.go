//go:build !race

package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
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
	file.fillDefaults()
	if err := file.validate(); err != nil {
		t.Fatal(err)
	}
	c := Config{
		Role: RoleEmbedded, Addr: "127.0.0.1:0", DataDir: dir,
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
	Result       json.RawMessage `json:"result"`
	Error        *struct {
		Code string `json:"code"`
	} `json:"error"`
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

func (s *stack) wait(id string) answer {
	s.t.Helper()
	return s.do(http.MethodGet, "/v1/jobs/"+id+"?wait=60s", "")
}

// Invariants 1, 3 and 5 for two hours of the whole embedded stack: HTTP, SQLite,
// asynq, Redis, dispatcher, worker, provider. The provider throttles, fails one
// call in eight and is away for ten minutes; the process stops and starts again
// in the middle. Every job ends once, and nothing waits for long.
func TestSimTwoHours(t *testing.T) {
	t.Parallel()
	faults := writeFile(t, `{
		"latency": "2s", "sigma": 0.8, "per_token": "20ms", "output_tokens": {"min": 3, "max": 9}, "rpm": 30, "concurrent": 4,
		"errors": {"server_error": 0.04, "rate_limited": 0.03, "truncated": 0.03, "stall": 0.02},
		"outages": [{"start": "20m", "duration": "10m"}]
	}`)
	file := File{
		Providers: map[string]ProviderConfig{"sim": {Type: "simulated", Faults: faults, Seed: 7}},
		Routes:    map[string]RouteConfig{"default": {Targets: []string{"sim/sim-1"}, MaxAttempts: 40}},
	}
	dir := t.TempDir()
	realStart := time.Now()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		rnd := rand.New(rand.NewPCG(1, 2))
		s := startStack(t, dir, file)
		var ids []string
		duplicates := 0
		arrive := func(until time.Duration) {
			for time.Since(begin) < until {
				// One prompt in ten is asked for twice.
				prompt := fmt.Sprintf("prompt %d", len(ids))
				ids = append(ids, s.submit(prompt, `,"timeout":"2h"`).ID)
				if len(ids)%10 == 0 {
					ids = append(ids, s.submit(prompt, `,"timeout":"2h"`).ID)
					duplicates++
				}
				time.Sleep(time.Duration(rnd.ExpFloat64() * float64(20*time.Second)))
			}
		}
		arrive(50 * time.Minute)
		s.stop()
		s = startStack(t, dir, file)
		arrive(100 * time.Minute)

		statuses := map[string]int{}
		deduplicated := 0
		for _, id := range ids {
			a := s.wait(id)
			for a.Status == "queued" || a.Status == "running" {
				a = s.wait(id)
			}
			statuses[a.Status]++
			if a.Deduplicated {
				deduplicated++
			}
			if a.FinishedAt.After(begin.Add(2 * time.Hour)) {
				t.Errorf("job %s ended at %s, after two hours", id, a.FinishedAt.Sub(begin))
			}
		}
		if want := map[string]int{"succeeded": len(ids)}; !maps.Equal(statuses, want) {
			t.Errorf("got %v, want %v", statuses, want)
		}
		if deduplicated != duplicates {
			t.Errorf("got %d jobs deduplicated, want %d", deduplicated, duplicates)
		}
		if rest := 2*time.Hour - time.Since(begin); rest > 0 {
			time.Sleep(rest)
		}
		s.stop()
		t.Logf("%d jobs in %s of virtual time", len(ids), time.Since(begin).Round(time.Second))
	})
	t.Logf("took %s of real time", time.Since(realStart).Round(time.Millisecond))
}
