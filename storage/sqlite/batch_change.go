package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// creation is what became of an attempt to make a batch.
type creation struct {
	as       batches.Batch
	replayed bool
}

// CreateBatch keeps a batch: see [batches.BatchStore].
func (s *Store) CreateBatch(
	ctx context.Context, b batches.Batch, repeat batches.Repeat,
) (as batches.Batch, replayed bool, err error) {
	c, err := change(ctx, s, "create a batch", func(ctx context.Context, t *statements) (creation, error) {
		if before, ok, err := repeated(ctx, t, b, repeat); err != nil || ok {
			return creation{as: before, replayed: true}, err
		}
		if err := hasInput(ctx, t, b); err != nil {
			return creation{}, err
		}
		for _, f := range b.Files() {
			if err := insertFile(ctx, t, f); err != nil {
				return creation{}, err
			}
		}
		if err := insertBatch(ctx, t, b, repeat); err != nil {
			return creation{}, err
		}
		as, err := batchOf(ctx, t, b.Tenant, b.ID)
		return creation{as: as}, err
	})
	return c.as, c.replayed, err
}

// repeated returns the batch that a repetition stands for, if there is one.
func repeated(
	ctx context.Context, t *statements, b batches.Batch, repeat batches.Repeat,
) (before batches.Batch, ok bool, err error) {
	if repeat.Key == "" {
		return batches.Batch{}, false, nil
	}
	var youngest uuid.UUID
	var fingerprint []byte
	ok, err = found(t.row(ctx, `
		SELECT id, fingerprint FROM batches
		WHERE tenant = ? AND repeat_key = ? AND repeat_key > '' AND created_at >= ? ORDER BY id DESC LIMIT 1`,
		b.Tenant, repeat.Key, micros(b.CreatedAt.Add(-repeat.Within))).Scan(&youngest, &fingerprint))
	if err != nil || !ok {
		return batches.Batch{}, false, err
	}
	if [32]byte(fingerprint) != repeat.Fingerprint {
		return batches.Batch{}, false, jobs.ErrIdempotencyMismatch
	}
	before, err = batchOf(ctx, t, b.Tenant, youngest)
	return before, err == nil, err
}

func insertBatch(ctx context.Context, t *statements, b batches.Batch, repeat batches.Repeat) error {
	policy, err := json.Marshal(b.Policy)
	if err != nil {
		return fmt.Errorf("write the policy of batch %s: %w", b.ID, err)
	}
	metadata, err := metadataOf(b.Metadata)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `
		INSERT INTO batches (id, tenant, endpoint, input_file, output_file, error_file, status, policy, metadata, time_window,
			output_ttl, created_at, deadline, repeat_key, fingerprint)
		VALUES (?, ?, ?, ?, ?, ?, 'validating', ?, ?, ?, ?, ?, ?, ?, ?)`,
		id(b.ID), b.Tenant, b.Endpoint, id(b.Input), id(b.Output), id(b.Errors), string(policy), metadata, b.Window,
		b.OutputTTL.Microseconds(), micros(b.CreatedAt), micros(b.Deadline), repeat.Key, repeat.Fingerprint[:])
	return err
}

// PauseBatch pauses or resumes: see [batches.BatchStore].
func (s *Store) PauseBatch(ctx context.Context, tenant string, batch uuid.UUID, paused bool) (batches.Batch, error) {
	return change(ctx, s, "pause a batch", func(ctx context.Context, t *statements) (batches.Batch, error) {
		b, err := batchOf(ctx, t, tenant, batch)
		if err != nil {
			return batches.Batch{}, err
		}
		if b.Status.Terminal() {
			return batches.Batch{}, batches.ErrEnded
		}
		b.Paused = paused
		_, err = t.exec(ctx, `UPDATE batches SET paused = ? WHERE id = ?`, paused, id(batch))
		return b, err
	})
}

// CancelBatch makes a batch cancelling: see [batches.BatchStore].
func (s *Store) CancelBatch(ctx context.Context, tenant string, batch uuid.UUID, at time.Time) (batches.Batch, error) {
	return change(ctx, s, "cancel a batch", func(ctx context.Context, t *statements) (batches.Batch, error) {
		b, err := batchOf(ctx, t, tenant, batch)
		if err != nil || b.Status.Terminal() || b.Status == batches.StatusCancelling {
			return b, err
		}
		b.Status, b.CancellingAt = batches.StatusCancelling, at
		_, err = t.exec(ctx, `UPDATE batches SET status = 'cancelling', cancelling_at = ? WHERE id = ?`, micros(at), id(batch))
		return b, err
	})
}

// retried is what became of a retry.
type retried struct {
	batch batches.Batch
	lines int
}

// RetryBatch makes lines pending again: see [batches.BatchStore].
func (s *Store) RetryBatch(
	ctx context.Context, tenant string, batch uuid.UUID, at, deadline time.Time,
) (batches.Batch, int, error) {
	r, err := change(ctx, s, "retry a batch", func(ctx context.Context, t *statements) (retried, error) {
		b, err := batchOf(ctx, t, tenant, batch)
		if err != nil {
			return retried{}, err
		}
		if !b.Status.Terminal() {
			return retried{}, batches.ErrNotEnded
		}
		if b.Status == batches.StatusFailed {
			return retried{batch: b}, nil
		}
		n, err := t.exec(ctx, `
			UPDATE batch_lines SET state = 'pending', round = round + 1, attempt = 0, job_id = NULL, code = '', seq = 0
			WHERE batch_id = ? AND state IN ('failed', 'cancelled', 'expired')`, id(batch))
		if err != nil || n == 0 {
			return retried{batch: b}, err
		}
		if err := resumeBatch(ctx, t, b, at, deadline); err != nil {
			return retried{}, err
		}
		b, err = batchOf(ctx, t, tenant, batch)
		return retried{batch: b, lines: int(n)}, err
	})
	return r.batch, r.lines, err
}

// resumeBatch lets a batch that has ended go on where it was: one that was cancelled
// before all its lines were read is read on.
func resumeBatch(ctx context.Context, t *statements, b batches.Batch, at, deadline time.Time) error {
	for _, f := range b.Files() {
		f.CreatedAt = at
		if err := restoreFile(ctx, t, f); err != nil {
			return err
		}
	}
	_, err := t.exec(ctx, `
		UPDATE batches SET status = CASE started_at WHEN 0 THEN 'validating' ELSE 'in_progress' END, paused = 0, deadline = ?,
			finalizing_at = 0, cancelling_at = 0, ended_at = 0,
			pending = failed + cancelled + expired, failed = 0, cancelled = 0, expired = 0, rate = 0
		WHERE id = ?`, micros(deadline), id(b.ID))
	return err
}
