package sqlite

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
func (s *Store) BeginBatch(ctx context.Context, holder, batch uuid.UUID, at time.Time) (batches.Batch, error) {
	return change(ctx, s, "begin a batch", func(ctx context.Context, t *statements) (batches.Batch, error) {
		b, err := heldBatch(ctx, t, holder, batch)
		if err != nil || b.Status != batches.StatusValidating {
			return b, err
		}
		b.Status, b.StartedAt = batches.StatusInProgress, at
		_, err = t.exec(ctx, `UPDATE batches SET status = 'in_progress', started_at = ? WHERE id = ?`, micros(at), id(batch))
		return b, err
	})
}

// RejectBatch makes a batch failed: see [batches.KeeperStore]. Its lines go at once or,
// if this is interrupted, in Maintain.
func (s *Store) RejectBatch(
	ctx context.Context, holder, batch uuid.UUID, problems []batches.Problem, count int, at time.Time, e *delivery.Event,
) error {
	text, err := json.Marshal(problems[:min(len(problems), batches.MaxProblems)])
	if err != nil {
		return fmt.Errorf("write the problems of batch %s: %w", batch, err)
	}
	_, err = change(ctx, s, "reject a batch", func(ctx context.Context, t *statements) (struct{}, error) {
		b, err := heldBatch(ctx, t, holder, batch)
		if err != nil {
			return struct{}{}, err
		}
		if b.Status != batches.StatusValidating {
			return struct{}{}, batches.ErrStatus
		}
		_, err = t.exec(ctx, `UPDATE batches SET problems = ?, problem_count = ?, total = 0, pending = 0 WHERE id = ?`,
			string(text), count, id(batch))
		if err != nil {
			return struct{}{}, err
		}
		if err := removeLater(ctx, t, batch); err != nil {
			return struct{}{}, err
		}
		return struct{}{}, endBatch(ctx, t, b, batches.StatusFailed, at, e)
	})
	if err == nil {
		_ = s.removeLines(ctx, batch) // what is left Maintain removes
	}
	return err
}

// FinalizeBatch makes a batch finalizing: see [batches.KeeperStore].
func (s *Store) FinalizeBatch(ctx context.Context, holder, batch uuid.UUID, at time.Time) error {
	_, err := change(ctx, s, "finalize a batch", func(ctx context.Context, t *statements) (struct{}, error) {
		b, err := heldBatch(ctx, t, holder, batch)
		if err != nil || b.Status == batches.StatusFinalizing {
			return struct{}{}, err
		}
		if b.Status != batches.StatusInProgress {
			return struct{}{}, batches.ErrStatus
		}
		_, err = t.exec(ctx, `UPDATE batches SET status = 'finalizing', finalizing_at = ? WHERE id = ?`, micros(at), id(batch))
		return struct{}{}, err
	})
	return err
}

// EndBatch ends a batch: see [batches.KeeperStore].
func (s *Store) EndBatch(
	ctx context.Context, holder, batch uuid.UUID, as batches.Status, at time.Time, e *delivery.Event,
) error {
	_, err := change(ctx, s, "end a batch", func(ctx context.Context, t *statements) (struct{}, error) {
		b, err := heldBatch(ctx, t, holder, batch)
		if err != nil {
			return struct{}{}, err
		}
		if b.Counts.Pending+b.Counts.Live > 0 {
			return struct{}{}, batches.ErrStatus
		}
		return struct{}{}, endBatch(ctx, t, b, as, at, e)
	})
	return err
}

// endBatch gives the batch its last status, tells of that, and gives its lease up.
func endBatch(
	ctx context.Context, t *statements, b batches.Batch, as batches.Status, at time.Time, e *delivery.Event,
) error {
	_, err := t.exec(ctx, `UPDATE batches SET status = ?, ended_at = ?, holder = NULL, held_until = 0 WHERE id = ?`,
		string(as), micros(at), id(b.ID))
	if err != nil {
		return err
	}
	if err := expireFiles(ctx, t, b, at); err != nil || e == nil {
		return err
	}
	return tell(ctx, t, *e)
}
