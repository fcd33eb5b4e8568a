package keeper

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
)

const (
	// collectAtOnce bounds the lines of one transaction that ends some.
	collectAtOnce = 500
	// readAtOnce bounds the lines that are listed at a time.
	readAtOnce = 1000
)

// collect notes what became of jobs, and reads how the batch stands.
func (t *turn) collect(ctx context.Context) error {
	for {
		b, n, err := t.k.cfg.Store.CollectLines(ctx, t.k.cfg.Holder, t.id, t.rate.told, collectAtOnce)
		if err != nil {
			return fmt.Errorf("collect lines: %w", err)
		}
		t.note(b)
		t.rate.add(n, b.Counts.Live+n > 0, time.Now())
		if n < collectAtOnce {
			return nil
		}
	}
}

// note takes note of how the batch stands.
func (t *turn) note(b batches.Batch) {
	t.k.cfg.Observer.counted(t.batch.Counts, b.Counts)
	t.batch = b
	if b.Counts.Pending == 0 {
		t.closeInput()
	}
}

// learn finds out which jobs there are of a batch that was taken over, so that their ends
// are heeded.
func (t *turn) learn(ctx context.Context) error {
	t.rate = newRate(t.batch.Rate, time.Now())
	return t.lines(ctx, func(l batches.Line) { t.k.live.add(l.Job, t) })
}

// lines calls do for each line that is live or withdrawn.
func (t *turn) lines(ctx context.Context, do func(batches.Line)) error {
	for after := 0; ; {
		page, err := t.k.cfg.Store.LiveLines(ctx, t.id, after, readAtOnce)
		if err != nil {
			return fmt.Errorf("list live lines: %w", err)
		}
		for _, l := range page {
			do(l)
			after = l.N
		}
		if len(page) < readAtOnce {
			return nil
		}
	}
}

// work returns the jobs of lines that are live or withdrawn.
func (t *turn) work(ctx context.Context) (ids []uuid.UUID, err error) {
	err = t.lines(ctx, func(l batches.Line) { ids = append(ids, l.Job) })
	return ids, err
}
