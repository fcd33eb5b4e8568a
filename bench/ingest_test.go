package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/examples"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage"
)

// submitter makes batches as an API does, in a store that worker processes share.
type submitter struct {
	store   storage.Store
	files   *files.Service
	batches *batches.Service
}

func newSubmitter(b *testing.B, env []string) *submitter {
	b.Helper()
	store, err := storage.Open(b.Context(), envOf(env, "PENSTOCK_DATABASE_URL"))
	if err != nil {
		b.Fatal(err)
	}
	client, err := queue.Connect(envOf(env, "PENSTOCK_REDIS_URL"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = client.Close(); _ = store.Close() })
	s := &submitter{store: store}
	if s.files, err = files.NewService(files.Config{Store: store}); err != nil {
		b.Fatal(err)
	}
	s.batches = batches.NewService(store, queue.NewSignals(client, nil), func(jobs.NewJob) error { return nil })
	return s
}

// upload keeps a file of n lines of so many bytes.
func (s *submitter) upload(b *testing.B, n, size int) uuid.UUID {
	b.Helper()
	w, err := s.files.Create(b.Context(), files.New{Tenant: "batches", Name: "in.jsonl", Purpose: files.PurposeBatch})
	if err != nil {
		b.Fatal(err)
	}
	lines := batches.NewLineWriter(w, providers.ChatCompletions)
	for id, body := range requests(b, n, size) {
		if err := lines.Write(id, body); err != nil {
			b.Fatal(err)
		}
	}
	f, err := w.Commit(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d lines, %.1f MiB", n, float64(f.Bytes)/(1<<20))
	return f.ID
}

// requests makes n of so many bytes as lines, of the real prompts, each with its custom id.
func requests(b *testing.B, n, size int) iter.Seq2[string, []byte] {
	b.Helper()
	texts := promptsOf(b, size)
	return func(yield func(string, []byte) bool) {
		for i := range n {
			said, err := json.Marshal(fmt.Sprint(i, " ", texts[i%len(texts)]))
			if err != nil {
				b.Error(err)
				return
			}
			body := fmt.Sprintf(`{"model":"default","messages":[{"role":"user","content":%s}],"max_tokens":512}`, said)
			if !yield(fmt.Sprint("request-", i), []byte(body)) {
				return
			}
		}
	}
}

// promptsOf returns texts that make lines of so many bytes.
func promptsOf(b *testing.B, size int) (texts []string) {
	b.Helper()
	const around = 180
	var all []string
	for lines := bufio.NewScanner(examples.Prompts()); lines.Scan(); {
		var l struct {
			Body struct {
				Messages []struct {
					Content string `json:"content"`
				} `json:"messages"`
			} `json:"body"`
		}
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			b.Fatal(err)
		}
		all = append(all, l.Body.Messages[0].Content)
	}
	for i := range all {
		text := strings.Repeat(strings.Join(all[i:], " ")+" ", 1+size/1000)
		texts = append(texts, text[:min(len(text), size-around)])
	}
	return texts
}

// create makes a batch; a paused one is read and not run.
func (s *submitter) create(b *testing.B, input uuid.UUID, paused bool) batches.Batch {
	b.Helper()
	batch, _, err := s.batches.Create(b.Context(), batches.New{Tenant: "batches", Endpoint: providers.ChatCompletions, Input: input})
	if err == nil && paused {
		batch, err = s.batches.Pause(b.Context(), "batches", batch.ID)
	}
	if err != nil {
		b.Fatal(err)
	}
	return batch
}

// read waits until the lines of a batch have been read.
func (s *submitter) read(b *testing.B, batch batches.Batch, meanwhile func()) batches.Batch {
	b.Helper()
	for batch.Status == batches.StatusValidating {
		<-time.After(20 * time.Millisecond)
		if meanwhile != nil {
			meanwhile()
		}
		var err error
		if batch, err = s.batches.Batch(b.Context(), "batches", batch.ID); err != nil {
			b.Fatal(err)
		}
	}
	if batch.Status != batches.StatusInProgress {
		b.Fatalf("the batch is %s: %v", batch.Status, batch.Problems)
	}
	return batch
}

const ingested = 50_000

// BenchmarkIngest: from when a batch is made to when all its lines have been read, checked
// and kept: 50,000 of 1 KB, by a worker process; beside it a bare COPY of the same rows into
// a table without an index. Then 50,000 of 4 KB, and by how much the worker grows.
func BenchmarkIngest(b *testing.B) {
	env := fleetEnv(b, "providers: {sim: {type: simulated}}\nroutes: {default: {targets: [sim/sim-1]}}\n")
	s := newSubmitter(b, env)
	_, worker := startProcess(b, "worker", env)
	small, large := s.upload(b, ingested, 1000), s.upload(b, ingested, 4000)
	idleMiB := residentMiB(b, worker)
	most := idleMiB
	var rates, bare []float64
	for b.Loop() {
		for range 3 {
			batch := s.read(b, s.create(b, small, true), nil)
			rates = append(rates, ingested/batch.StartedAt.Sub(batch.CreatedAt).Seconds())
			bare = append(bare, ingested/copyBare(b, envOf(env, "PENSTOCK_DATABASE_URL"), batch.ID).Seconds())
		}
		s.read(b, s.create(b, large, true), func() { most = max(most, residentMiB(b, worker)) })
	}
	b.ReportMetric(median(rates), "lines/s")
	b.ReportMetric(median(bare), "COPY-rows/s")
	b.ReportMetric(median(bare)/median(rates), "COPY/lines")
	b.ReportMetric(idleMiB, "idle-MiB")
	b.ReportMetric(most-idleMiB, "grown-MiB")
}

// copyBare copies the rows of a batch's lines into a table, and returns how long that took.
func copyBare(b *testing.B, url string, batch uuid.UUID) time.Duration {
	b.Helper()
	ctx := context.Background()
	conn := must(pgx.Connect(ctx, url))
	defer conn.Close(ctx)
	const columns = "batch_id, n, custom_id, at_byte, length, hash, repeats"
	rows, err := conn.Query(ctx, "SELECT "+columns+" FROM batch_lines WHERE batch_id = $1 ORDER BY n", batch)
	if err != nil {
		b.Fatal(err)
	}
	all := must(pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() }))
	must(conn.Exec(ctx, "CREATE TABLE bare AS SELECT "+columns+" FROM batch_lines WHERE false"))
	begun := time.Now()
	n := must(conn.CopyFrom(ctx, pgx.Identifier{"bare"}, strings.Split(columns, ", "), pgx.CopyFromRows(all)))
	took := time.Since(begun)
	must(conn.Exec(ctx, "DROP TABLE bare"))
	if n != ingested {
		b.Fatalf("%d rows were copied, want %d", n, ingested)
	}
	return took
}

// BenchmarkInteractiveBesideABatch: from the POST of a job to its answer, by one caller, in
// an idle fleet, while the 4 KB lines of a batch are read, and while it runs. The batch is
// another tenant's and asks the same provider: one that answers after 50 ms, 16 at a time,
// and one that answers at once, so that the batch takes all that both processors give.
func BenchmarkInteractiveBesideABatch(b *testing.B) {
	b.Run("answers=50ms", func(b *testing.B) { besideABatch(b, "50ms", 16) })
	b.Run("answers=1ms", func(b *testing.B) { besideABatch(b, "1ms", 64) })
}

func besideABatch(b *testing.B, latency string, concurrency int) {
	b.Helper()
	faults := filepath.Join(b.TempDir(), "faults.json")
	said := fmt.Sprintf(`{"latency": %q, "output_tokens": {"min": 1, "max": 1}}`, latency)
	if err := os.WriteFile(faults, []byte(said), 0o600); err != nil {
		b.Fatal(err)
	}
	env := fleetEnv(b, fmt.Sprintf(`
providers: {sim: {type: simulated, faults: %q, concurrency: %d}}
routes: {default: {targets: [sim/sim-1]}}
`, faults, concurrency))
	s := newSubmitter(b, env)
	base, _ := startProcess(b, "api", env)
	startProcess(b, "worker", env)
	input := s.upload(b, ingested, 4000)
	asked := 0
	ask := func(times *latencies) {
		asked++
		begun := time.Now()
		postAndWait(b, base, fmt.Sprint("question ", asked))
		*times = append(*times, time.Since(begun))
	}
	var alone, reading, running latencies
	for b.Loop() {
		for range 300 {
			ask(&alone)
		}
		batch := s.create(b, input, false)
		s.read(b, batch, func() { ask(&reading) })
		for range 300 {
			ask(&running)
		}
		if _, err := s.batches.Cancel(b.Context(), "batches", batch.ID); err != nil {
			b.Fatal(err)
		}
	}
	for name, times := range map[string]latencies{"alone": alone, "reading": reading, "running": running} {
		b.ReportMetric(times.at(50), name+"-p50-ms")
		b.ReportMetric(times.at(99), name+"-p99-ms")
	}
}
