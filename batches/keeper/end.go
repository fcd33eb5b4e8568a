package keeper

import (
	"context"
	"fmt"
	"time"

	"github.com/penstock-dev/penstock/batches"
)

// end ends a batch all of whose lines have ended.
func (t *turn) end(ctx context.Context) error {
	b, at := t.batch, now()
	switch {
	case b.Status == batches.StatusCancelling:
		b.Status = batches.StatusCancelled
	case b.Counts.Expired > 0:
		b.Status = batches.StatusExpired
	default:
		b.Status = batches.StatusCompleted
	}
	if t.batch.Status == batches.StatusInProgress {
		if err := t.k.cfg.Store.FinalizeBatch(ctx, t.k.cfg.Holder, t.id, at); err != nil {
			return fmt.Errorf("finalize the batch: %w", err)
		}
	}
	b.EndedAt = at
	e, err := event(b)
	if err != nil {
		return err
	}
	if err := t.k.cfg.Store.EndBatch(ctx, t.k.cfg.Holder, t.id, b.Status, at, e); err != nil {
		return fmt.Errorf("end the batch: %w", err)
	}
	t.hasEnded(b)
	return nil
}

// hasEnded notes that the batch has.
func (t *turn) hasEnded(b batches.Batch) {
	t.over, t.batch = true, b
	t.k.cfg.Observer.ended(b)
}

// now is the time as stores keep it.
func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
