package sqlite

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// replay answers from a live idempotency record. It reports false if the
// submission is new.
func replay(ctx context.Context, t *statements, sub jobs.Submission) (jobs.Submitted, bool, error) {
	if sub.Idempotency == nil {
		return jobs.Submitted{}, false, nil
	}
	var fingerprint []byte
	var first uuid.UUID
	ok, err := found(t.row(ctx, `
		SELECT fingerprint, job_id FROM idempotency WHERE key = ? AND tenant = ? AND created_at > ?`,
		sub.Idempotency.Key, sub.Job.Tenant, micros(sub.Job.CreatedAt.Add(-jobs.IdempotencyWindow))).
		Scan(&fingerprint, &first))
	if err != nil || !ok {
		return jobs.Submitted{}, false, err
	}
	j, err := jobByID(ctx, t, sub.Job.Tenant, first)
	if errors.Is(err, jobs.ErrNotFound) {
		return jobs.Submitted{}, false, nil
	}
	if err != nil {
		return jobs.Submitted{}, false, err
	}
	if !bytes.Equal(fingerprint, sub.Idempotency.Fingerprint[:]) {
		return jobs.Submitted{}, false, jobs.ErrIdempotencyMismatch
	}
	return jobs.Submitted{Job: j, Replayed: true}, true, nil
}

// rememberKey records the submission under its key, in place of a record that
// counts as absent.
func rememberKey(ctx context.Context, t *statements, sub jobs.Submission) error {
	if sub.Idempotency == nil {
		return nil
	}
	_, err := t.exec(ctx, `
		INSERT OR REPLACE INTO idempotency (key, tenant, fingerprint, job_id, created_at) VALUES (?, ?, ?, ?, ?)`,
		sub.Idempotency.Key, sub.Job.Tenant, sub.Idempotency.Fingerprint[:], id(sub.Job.ID), micros(sub.Job.CreatedAt))
	return err
}

// Maintain drops idempotency records past their time: see [jobs.ControlStore].
// It does so in short transactions. SQLite needs no room made in advance.
func (s *Store) Maintain(ctx context.Context, now time.Time) error {
	const atOnce = 1000
	for {
		dropped, err := change(ctx, s, "drop idempotency records",
			func(ctx context.Context, t *statements) (int64, error) {
				return t.exec(ctx, `
					DELETE FROM idempotency WHERE (key, tenant) IN (
						SELECT key, tenant FROM idempotency WHERE created_at <= ? LIMIT ?)`,
					micros(now.Add(-jobs.IdempotencyWindow)), atOnce)
			})
		if err != nil || dropped < atOnce {
			return err
		}
	}
}
