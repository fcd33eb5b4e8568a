package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// BeginBatch makes a batch in progress: see [batches.KeeperStore].
func (s *Store) BeginBatch(ctx context.Context, holder, batch uuid.UUID, at time.Time) (b batches.Batch, err error) {
	err = s.write(ctx, "begin a batch", func(ctx context.Context, t *txn) error {
		b, err = lockHeldBatch(ctx, t, holder, batch)
		if err != nil || b.Status != batches.StatusValidating {
			return err
		}
		b.Status, b.StartedAt = batches.StatusInProgress, at
		t.exec(`UPDATE batches SET status = 'in_progress', started_at = $2 WHERE id = $1`, batch, at)
		return nil
	})
	return b, err
}

// RejectBatch makes a batch failed: see [batches.KeeperStore]. Its lines go at once or,
// if this is interrupted, in Maintain.
func (s *Store) RejectBatch(
	ctx context.Context, holder, batch uuid.UUID, problems []batches.Problem, count int, at time.Time, e *delivery.Event,
) error {
	const reject = `
		UPDATE batches SET problems = convert_from($2, 'UTF8')::jsonb, problem_count = $3, total = 0, pending = 0 WHERE id = $1`
	text, err := json.Marshal(problems[:min(len(problems), batches.MaxProblems)])
	if err != nil {
		return fmt.Errorf("write the problems of batch %s: %w", batch, err)
	}
	err = s.write(ctx, "reject a batch", func(ctx context.Context, t *txn) error {
		b, err := lockHeldBatch(ctx, t, holder, batch)
		if err != nil {
			return err
		}
		if b.Status != batches.StatusValidating {
			return batches.ErrStatus
		}
		t.exec(reject, batch, text, count)
		removeLater(t, batch)
		return endBatch(ctx, t, b, batches.StatusFailed, at, e)
	})
	if err == nil {
		_ = s.removeLines(ctx, batch) // what is left Maintain removes
	}
	return err
}

// FinalizeBatch makes a batch finalizing: see [batches.KeeperStore].
func (s *Store) FinalizeBatch(ctx context.Context, holder, batch uuid.UUID, at time.Time) error {
	return s.write(ctx, "finalize a batch", func(ctx context.Context, t *txn) error {
		b, err := lockHeldBatch(ctx, t, holder, batch)
		if err != nil || b.Status == batches.StatusFinalizing {
			return err
		}
		if b.Status != batches.StatusInProgress {
			return batches.ErrStatus
		}
		t.exec(`UPDATE batches SET status = 'finalizing', finalizing_at = $2 WHERE id = $1`, batch, at)
		return nil
	})
}

// EndBatch ends a batch: see [batches.KeeperStore].
func (s *Store) EndBatch(
	ctx context.Context, holder, batch uuid.UUID, as batches.Status, at time.Time, e *delivery.Event,
) error {
	return s.write(ctx, "end a batch", func(ctx context.Context, t *txn) error {
		b, err := lockHeldBatch(ctx, t, holder, batch)
		if err != nil {
			return err
		}
		if b.Counts.Pending+b.Counts.Live > 0 {
			return batches.ErrStatus
		}
		return endBatch(ctx, t, b, as, at, e)
	})
}

// endBatch gives the batch its last status, tells of that, and gives its lease up.
func endBatch(
	ctx context.Context, t *txn, b batches.Batch, as batches.Status, at time.Time, e *delivery.Event,
) error {
	t.exec(`UPDATE batches SET status = $2, ended_at = $3, holder = NULL, held_until = '-infinity' WHERE id = $1`,
		b.ID, string(as), at)
	expireFiles(t, b, at)
	if e == nil {
		return nil
	}
	_, err := tellOne(ctx, t, *e)
	return err
}
