package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// CreateBatch keeps a batch: see [batches.BatchStore]. Those who submit under one key do
// so one after the other.
func (s *Store) CreateBatch(
	ctx context.Context, b batches.Batch, repeat batches.Repeat,
) (as batches.Batch, replayed bool, err error) {
	err = s.write(ctx, "create a batch", func(ctx context.Context, t *txn) error {
		if as, replayed, err = repeated(ctx, t, b, repeat); err != nil || replayed {
			return err
		}
		if err := lockInput(ctx, t, b); err != nil {
			return err
		}
		for _, f := range b.Files() {
			insertFile(t, f)
		}
		as, err = insertBatch(ctx, t, b, repeat)
		return err
	})
	if err != nil {
		return batches.Batch{}, false, err
	}
	return as, replayed, nil
}

// repeated returns the batch that a repetition stands for, if there is one.
func repeated(
	ctx context.Context, t *txn, b batches.Batch, repeat batches.Repeat,
) (before batches.Batch, ok bool, err error) {
	const lock = `SELECT pg_advisory_xact_lock(hashtextextended($1 || E'\n' || $2, 0))`
	const youngest = `
		SELECT b.id, b.fingerprint FROM batches b WHERE b.repeat_key = $1 AND b.tenant = $2 AND b.created_at >= $3
		ORDER BY b.id DESC LIMIT 1`
	if repeat.Key == "" {
		return batches.Batch{}, false, nil
	}
	var id uuid.UUID
	var fingerprint []byte
	t.exec(lock, b.Tenant, repeat.Key)
	t.each(func(rows pgx.Rows) error { return rows.Scan(&id, &fingerprint) },
		youngest, repeat.Key, b.Tenant, b.CreatedAt.Add(-repeat.Within))
	if err := t.flush(ctx); err != nil || fingerprint == nil {
		return batches.Batch{}, false, err
	}
	if [32]byte(fingerprint) != repeat.Fingerprint {
		return batches.Batch{}, false, jobs.ErrIdempotencyMismatch
	}
	before, err = lockBatch(ctx, t, b.Tenant, id)
	return before, err == nil, err
}

// lockInput keeps the input of a new batch from being removed, or fails with
// [batches.ErrNoInput].
func lockInput(ctx context.Context, t *txn, b batches.Batch) error {
	var found []uuid.UUID
	t.each(appendID(&found), `
		SELECT id FROM files WHERE id = $1 AND tenant = $2 AND purpose = 'batch' AND status = 'uploaded'
			AND (expires_at IS NULL OR expires_at > $3)
		FOR SHARE`, b.Input, b.Tenant, b.CreatedAt)
	if err := t.flush(ctx); err != nil {
		return err
	}
	if len(found) == 0 {
		return batches.ErrNoInput
	}
	return nil
}

func insertBatch(ctx context.Context, t *txn, b batches.Batch, repeat batches.Repeat) (batches.Batch, error) {
	const insert = `
		INSERT INTO batches AS b (id, tenant, endpoint, input_file, output_file, error_file, status, policy, metadata,
			time_window, output_ttl_us, created_at, deadline, repeat_key, fingerprint)
		VALUES ($1, $2, $3, $4, $5, $6, 'validating', convert_from($7, 'UTF8')::jsonb, convert_from($8, 'UTF8')::jsonb,
			$9, $10, $11, $12, $13, $14)
		RETURNING ` + batchColumns
	policy, err := json.Marshal(b.Policy)
	if err != nil {
		return batches.Batch{}, fmt.Errorf("write the policy of batch %s: %w", b.ID, err)
	}
	metadata, err := metadataOf(b.Metadata)
	if err != nil {
		return batches.Batch{}, err
	}
	var made []batches.Batch
	eachBatch(t, &made, insert, b.ID, b.Tenant, b.Endpoint, b.Input, b.Output, b.Errors, policy, metadata,
		b.Window, b.OutputTTL.Microseconds(), b.CreatedAt, b.Deadline, orNull(repeat.Key), repeat.Fingerprint[:])
	if err := t.flush(ctx); err != nil {
		return batches.Batch{}, err
	}
	return made[0], nil
}

// PauseBatch pauses or resumes: see [batches.BatchStore].
func (s *Store) PauseBatch(ctx context.Context, tenant string, id uuid.UUID, paused bool) (b batches.Batch, err error) {
	err = s.write(ctx, "pause a batch", func(ctx context.Context, t *txn) error {
		if b, err = lockBatch(ctx, t, tenant, id); err != nil {
			return err
		}
		if b.Status.Terminal() {
			return batches.ErrEnded
		}
		b.Paused = paused
		t.exec(`UPDATE batches SET paused = $2 WHERE id = $1`, id, paused)
		return nil
	})
	return b, err
}

// CancelBatch makes a batch cancelling: see [batches.BatchStore].
func (s *Store) CancelBatch(ctx context.Context, tenant string, id uuid.UUID, at time.Time) (b batches.Batch, err error) {
	err = s.write(ctx, "cancel a batch", func(ctx context.Context, t *txn) error {
		b, err = lockBatch(ctx, t, tenant, id)
		if err != nil || b.Status.Terminal() || b.Status == batches.StatusCancelling {
			return err
		}
		b.Status, b.CancellingAt = batches.StatusCancelling, at
		t.exec(`UPDATE batches SET status = 'cancelling', cancelling_at = $2 WHERE id = $1`, id, at)
		return nil
	})
	return b, err
}

// RetryBatch makes lines pending again: see [batches.BatchStore].
func (s *Store) RetryBatch(
	ctx context.Context, tenant string, id uuid.UUID, at, deadline time.Time,
) (b batches.Batch, lines int, err error) {
	const again = `
		UPDATE batch_lines SET state = 'pending', round = round + 1, attempt = 0, job_id = NULL, code = NULL, seq = NULL
		WHERE unanswered_of = $1`
	err = s.write(ctx, "retry a batch", func(ctx context.Context, t *txn) error {
		lines = 0
		if b, err = lockBatch(ctx, t, tenant, id); err != nil {
			return err
		}
		if !b.Status.Terminal() {
			return batches.ErrNotEnded
		}
		if b.Status == batches.StatusFailed {
			return nil
		}
		t.count(&lines, again, id)
		if err := t.flush(ctx); err != nil || lines == 0 {
			return err
		}
		b, err = resumeBatch(ctx, t, b, at, deadline)
		return err
	})
	return b, lines, err
}

// resumeBatch lets a batch that has ended go on where it was: one that was cancelled
// before all its lines were read is read on.
func resumeBatch(ctx context.Context, t *txn, b batches.Batch, at, deadline time.Time) (batches.Batch, error) {
	const resume = `
		UPDATE batches b SET status = CASE WHEN started_at IS NULL THEN 'validating' ELSE 'in_progress' END, paused = false,
			deadline = $2, finalizing_at = NULL, cancelling_at = NULL, ended_at = NULL,
			pending = failed + cancelled + expired, failed = 0, cancelled = 0, expired = 0, rate = 0
		WHERE b.id = $1
		RETURNING ` + batchColumns
	for _, f := range b.Files() {
		f.CreatedAt = at
		restoreFile(t, f)
	}
	var list []batches.Batch
	eachBatch(t, &list, resume, b.ID, deadline)
	if err := t.flush(ctx); err != nil {
		return batches.Batch{}, err
	}
	return list[0], nil
}
