package sqlite

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Replay returns the job of a live idempotency record: see [jobs.SubmitStore].
func (s *Store) Replay(ctx context.Context, tenant string, i jobs.Idempotency, at time.Time) (jobs.Job, error) {
	return read(ctx, s, "look up an idempotency key", func(ctx context.Context, t *statements) (jobs.Job, error) {
		return replay(ctx, t, tenant, i, at)
	})
}

// replay returns the job of a live idempotency record or [jobs.ErrNotFound].
func replay(ctx context.Context, t *statements, tenant string, i jobs.Idempotency, at time.Time) (jobs.Job, error) {
	if i.Renew {
		return jobs.Job{}, jobs.ErrNotFound
	}
	var fingerprint []byte
	var first uuid.UUID
	ok, err := found(t.row(ctx, `
		SELECT fingerprint, job_id FROM idempotency WHERE key = ? AND tenant = ? AND created_at >= ?`,
		i.Key, tenant, micros(i.Since(at))).
		Scan(&fingerprint, &first))
	if err != nil {
		return jobs.Job{}, err
	}
	if !ok {
		return jobs.Job{}, jobs.ErrNotFound
	}
	j, err := jobByID(ctx, t, tenant, first)
	if err != nil {
		return jobs.Job{}, err
	}
	if !bytes.Equal(fingerprint, i.Fingerprint[:]) {
		return jobs.Job{}, jobs.ErrIdempotencyMismatch
	}
	return j, nil
}

// rememberKey records the submission under its key, in place of a record that
// counts as absent; one that renews it not in place of one that was made later.
func rememberKey(ctx context.Context, t *statements, sub jobs.Submission) error {
	if sub.Idempotency == nil {
		return nil
	}
	_, err := t.exec(ctx, `
		INSERT INTO idempotency (key, tenant, fingerprint, job_id, created_at) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (key, tenant) DO UPDATE
		SET fingerprint = excluded.fingerprint, job_id = excluded.job_id, created_at = excluded.created_at
		WHERE created_at <= excluded.created_at OR NOT ?6`,
		sub.Idempotency.Key, sub.Job.Tenant, sub.Idempotency.Fingerprint[:], id(sub.Job.ID), micros(sub.Job.CreatedAt),
		sub.Idempotency.Renew)
	return err
}

// Maintain drops idempotency records past their time, and lines of batches that are
// removed: see [jobs.ControlStore]. It does so in short transactions. SQLite needs no room
// made in advance.
func (s *Store) Maintain(ctx context.Context, now time.Time) error {
	return errors.Join(s.dropKeys(ctx, now), s.removeRest(ctx))
}

func (s *Store) dropKeys(ctx context.Context, now time.Time) error {
	const atOnce = 1000
	for {
		dropped, err := change(ctx, s, "drop idempotency records",
			func(ctx context.Context, t *statements) (int64, error) {
				return t.exec(ctx, `
					DELETE FROM idempotency WHERE (key, tenant) IN (
						SELECT key, tenant FROM idempotency WHERE created_at < ? LIMIT +?)`,
					micros(now.Add(-jobs.IdempotencyWindow)), atOnce)
			})
		if err != nil || dropped < atOnce {
			return err
		}
	}
}
