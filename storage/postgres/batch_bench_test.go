package postgres

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
)

// benchBatch keeps a batch that holder holds.
func benchBatch(ctx context.Context, b *testing.B, s *Store, holder uuid.UUID) uuid.UUID {
	b.Helper()
	newID := func() uuid.UUID { return uuid.Must(uuid.NewV7()) }
	input := files.File{ID: newID(), Tenant: "acme", Purpose: files.PurposeBatch, Status: files.StatusUploaded, CreatedAt: time.Now()}
	if err := s.CreateFile(ctx, input); err != nil {
		b.Fatal(err)
	}
	made, _, err := s.CreateBatch(ctx, batches.Batch{
		ID: newID(), Tenant: "acme", Input: input.ID, Output: newID(), Errors: newID(), CreatedAt: time.Now(),
		Deadline: time.Now().Add(time.Hour),
	}, batches.Repeat{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.LeaseBatches(ctx, holder, 10); err != nil {
		b.Fatal(err)
	}
	return made.ID
}

// benchLines returns a page of lines.
func benchLines(page, size int) []batches.Line {
	lines := make([]batches.Line, size)
	for i := range lines {
		n := page*size + i + 1
		custom := fmt.Sprintf("request-%08d", n)
		lines[i] = batches.Line{N: n, CustomID: custom, Offset: int64(n) * 1024, Length: 1023, Hash: sha256.Sum256([]byte(custom))}
	}
	return lines
}

// BenchmarkAppendLines compares appending the lines of a batch, a page at a time, with one
// COPY of the same rows to a table that has nothing but its primary key, in turns. It
// reports medians.
func BenchmarkAppendLines(b *testing.B) {
	const pages, size = 20, 1000
	s := openStore(b, Config{})
	ctx, holder := context.Background(), uuid.New()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	_, err := s.pool.Exec(ctx, `
		CREATE TABLE bare (batch_id uuid, n integer, custom_id text, at_byte bigint, length integer, hash bytea, repeats boolean,
			PRIMARY KEY (batch_id, n))`)
	must(err)
	var all [][]batches.Line
	for page := range pages {
		all = append(all, benchLines(page, size))
	}
	appended := func() float64 {
		batch := benchBatch(ctx, b, s, holder)
		start := time.Now()
		for page, lines := range all {
			from, to := batches.Cursor{Lines: page * size}, batches.Cursor{Lines: (page + 1) * size}
			must(s.AppendLines(ctx, holder, batch, from, to, lines))
		}
		return pages * size / time.Since(start).Seconds()
	}
	bare := func() float64 {
		batch, start := uuid.Must(uuid.NewV7()), time.Now()
		must(s.onConn(ctx, "copy", func(ctx context.Context, conn *pgx.Conn) error {
			return copyLinesTo(ctx, conn, "bare", batch, all)
		}))
		return pages * size / time.Since(start).Seconds()
	}
	appended()
	bare()
	var kept, copied, ratio []float64
	for b.Loop() {
		k, c := appended(), bare()
		kept, copied, ratio = append(kept, k), append(copied, c), append(ratio, k/c)
	}
	b.ReportMetric(median(kept), "lines/s")
	b.ReportMetric(median(copied), "bare/s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(0, "ns/op")
}

// copyLinesTo copies all pages at once.
func copyLinesTo(ctx context.Context, conn *pgx.Conn, table string, batch uuid.UUID, pages [][]batches.Line) error {
	size := len(pages[0])
	_, err := conn.CopyFrom(ctx, pgx.Identifier{table},
		[]string{"batch_id", "n", "custom_id", "at_byte", "length", "hash", "repeats"},
		pgx.CopyFromSlice(len(pages)*size, func(i int) ([]any, error) {
			l := &pages[i/size][i%size]
			return []any{batch, l.N, l.CustomID, l.Offset, l.Length, l.Hash[:], l.Repeat}, nil
		}))
	return err
}

// BenchmarkCollectLines starts windows of lines whose jobs have ended, collects them, and
// looks again when all that is live lives. It reports medians.
func BenchmarkCollectLines(b *testing.B) {
	const window = 2000
	s := openStore(b, Config{})
	ctx, holder := context.Background(), uuid.New()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	submit := func() []uuid.UUID {
		ids := make([]uuid.UUID, window)
		concurrently(b, window, func(i int) error {
			done, err := s.Submit(ctx, testSubmission(uuid.NewString()))
			ids[i] = done.Job.ID
			return err
		})
		return ids
	}
	var started, collected, idle []float64
	for b.Loop() {
		ids := submit()
		batch := benchBatch(ctx, b, s, holder)
		must(s.AppendLines(ctx, holder, batch, batches.Cursor{}, batches.Cursor{Lines: window}, benchLines(0, window)))
		_, err := s.BeginBatch(ctx, holder, batch, time.Now())
		must(err)
		start := time.Now()
		for from := 0; from < window; from += 64 {
			var some []batches.Started
			for n := from; n < min(from+64, window); n++ {
				some = append(some, batches.Started{N: n + 1, Job: ids[n]})
			}
			must(s.StartLines(ctx, holder, batch, some))
		}
		started = append(started, window/time.Since(start).Seconds())
		_, err = s.LeaseBatches(ctx, holder, 10) // it may have been lost meanwhile
		must(err)
		start = time.Now()
		_, n, err := s.CollectLines(ctx, holder, batch, 0, 1000)
		must(err)
		idle = append(idle, float64(time.Since(start).Microseconds())/1000)
		if n != 0 {
			b.Fatalf("collected %d lines of jobs that live", n)
		}
		concurrently(b, window, func(i int) error {
			_, _, err := s.Cancel(ctx, "acme", ids[i], time.Now())
			return err
		})
		_, err = s.LeaseBatches(ctx, holder, 10) // it may have been lost meanwhile
		must(err)
		start = time.Now()
		for n = 1; n > 0; {
			_, n, err = s.CollectLines(ctx, holder, batch, 0, 500)
			must(err)
		}
		collected = append(collected, window/time.Since(start).Seconds())
	}
	b.ReportMetric(median(started), "started/s")
	b.ReportMetric(median(collected), "collected/s")
	b.ReportMetric(median(idle), "idle-ms")
	b.ReportMetric(0, "ns/op")
}
