//go:build !race

package app

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/internal/memnet"
	"github.com/penstock-dev/penstock/providers"
)

// startParts starts the whole embedded stack on what lies in dir, and returns its parts.
func startParts(t *testing.T, dir string, file File) (p *parts, stop func()) {
	t.Helper()
	file.fillDefaults()
	if err := file.validate(); err != nil {
		t.Fatal(err)
	}
	c := Config{
		Role: RoleEmbedded, Addr: "127.0.0.1:0", PublicURL: "http://penstock.test", DataDir: dir,
		DatabaseURL: "sqlite://" + filepath.Join(dir, "penstock.db") + "?synchronous=normal", File: file,
	}
	p, err := build(t.Context(), c, zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.ErrorLevel))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := runStages(ctx, p.stages(memnet.Listen())...); err != nil {
			t.Errorf("the stages ended with %v", err)
		}
	})
	return p, func() {
		cancel()
		running.Wait()
		if err := p.close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

// A batch through the whole embedded stack, whose provider fails one call in five, and
// whose process stops and starts again in the middle: every line ends once, with an answer
// or a last reason, and a retry runs those again that have none. Package keeper has the
// same of 10,000 lines.
func TestSimBatch(t *testing.T) {
	t.Parallel()
	n := 500
	if testing.Short() {
		n = 150
	}
	faults := writeFile(t, `{
		"latency": "1s", "sigma": 0.5, "output_tokens": {"min": 2, "max": 4},
		"errors": {"server_error": 0.1, "truncated": 0.1}
	}`)
	file := File{
		Providers: map[string]ProviderConfig{"sim": {Type: "simulated", Faults: faults, Seed: 7, Concurrency: 200}},
		Routes:    map[string]RouteConfig{"default": {Targets: []string{"sim/sim-1"}, MaxAttempts: 2}},
	}
	dir := t.TempDir()
	begun := time.Now()
	synctest.Test(t, func(t *testing.T) {
		p, stop := startParts(t, dir, file)
		b := submitBatch(t, p, n)
		for b.Counts.Ended() < n/3 {
			b = lookAt(t, p, b.ID)
		}
		stop()
		p, stop = startParts(t, dir, file)
		defer stop()
		for !b.Status.Terminal() {
			b = lookAt(t, p, b.ID)
		}
		failed := b.Counts.Failed
		if b.Status != batches.StatusCompleted || b.Counts.Succeeded+failed != n || failed == 0 || failed > n/5 {
			t.Fatalf("got %s with %+v", b.Status, b.Counts)
		}
		attempts := callsOf(t, p)
		b, again, err := p.batches.service.Retry(t.Context(), "acme", b.ID)
		if err != nil || again != failed {
			t.Fatalf("%d lines are run again (%v), want %d", again, err, failed)
		}
		for !b.Status.Terminal() {
			b = lookAt(t, p, b.ID)
		}
		if made := callsOf(t, p) - attempts; made < float64(failed) || made > 2*float64(failed) || b.Counts.Failed > failed/2 {
			t.Errorf("the retry made %v calls for %d lines, and left %+v", made, failed, b.Counts)
		}
		seen := map[int]bool{}
		for a, err := range p.batches.service.Answers(t.Context(), batches.AnswerQuery{Tenant: "acme", Batch: b.ID, AsFinished: true, Limit: 500}) {
			if err != nil {
				t.Fatal(err)
			}
			if seen[a.N] || (a.State == batches.LineSucceeded) != (len(a.Result) > 0) || a.State == batches.LineFailed && a.Code == "" {
				t.Fatalf("line %d is told of twice, or is %s without a reason", a.N, a.State)
			}
			seen[a.N] = true
		}
		if len(seen) != n {
			t.Errorf("%d lines have ended, want %d", len(seen), n)
		}
		t.Logf("%d lines: %d failed at first, then %d; %s of virtual time", n, failed, b.Counts.Failed, b.EndedAt.Sub(b.CreatedAt))
	})
	t.Logf("took %s of real time", time.Since(begun).Round(time.Millisecond))
}

// submitBatch uploads n lines and makes a batch of them.
func submitBatch(t *testing.T, p *parts, n int) batches.Batch {
	t.Helper()
	w, err := p.files.Create(t.Context(), files.New{Tenant: "acme", Name: "in.jsonl", Purpose: files.PurposeBatch})
	if err != nil {
		t.Fatal(err)
	}
	lines := batches.NewLineWriter(w, providers.ChatCompletions)
	for i := range n {
		body := fmt.Sprintf(`{"model":"default","messages":[{"role":"user","content":"number %d"}]}`, i)
		if err := lines.Write(fmt.Sprint("line-", i), []byte(body)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := p.batches.service.Create(t.Context(), batches.New{Tenant: "acme", Endpoint: providers.ChatCompletions, Input: f.ID})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// lookAt returns how a batch stands a second later.
func lookAt(t *testing.T, p *parts, id uuid.UUID) batches.Batch {
	t.Helper()
	time.Sleep(time.Second)
	b, err := p.batches.service.Batch(t.Context(), "acme", id)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// callsOf counts the calls to providers.
func callsOf(t *testing.T, p *parts) float64 {
	t.Helper()
	return sumOf(t, p.reloader.o, "penstock_calls_total")
}
