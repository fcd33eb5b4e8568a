package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
)

// BenchmarkRetryBatch runs again all of the 100,000 lines of a batch, which failed.
func BenchmarkRetryBatch(b *testing.B) {
	const size = 1000
	s := openStore(b, Config{Timeout: time.Minute})
	ctx, holder := context.Background(), uuid.New()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	id := benchBatch(ctx, b, s, holder)
	for page := range batches.MaxLines / size {
		from, to := batches.Cursor{Lines: page * size}, batches.Cursor{Lines: (page + 1) * size}
		must(s.AppendLines(ctx, holder, id, from, to, benchLines(page, size)))
	}
	_, err := s.BeginBatch(ctx, holder, id, time.Now())
	must(err)
	for b.Loop() {
		b.StopTimer()
		for n := 1; n > 0; {
			_, err := s.RenewBatches(ctx, holder, []uuid.UUID{id})
			must(err)
			n, err = s.EndLines(ctx, holder, id, batches.LineExpired, batches.CodeBatchExpired, nil, size)
			must(err)
		}
		must(s.EndBatch(ctx, holder, id, batches.StatusExpired, time.Now(), nil))
		b.StartTimer()
		_, n, err := s.RetryBatch(ctx, "acme", id, time.Now(), time.Now().Add(time.Hour))
		must(err)
		if n != batches.MaxLines {
			b.Fatalf("%d lines are run again, want %d", n, batches.MaxLines)
		}
		b.StopTimer()
		_, err = s.LeaseBatches(ctx, holder, 10)
		must(err)
		b.StartTimer()
	}
}
