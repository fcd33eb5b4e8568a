package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// insertDrop notes when the data of an ephemeral job that ends by the given time
// is dropped at the latest.
func insertDrop(ctx context.Context, t *statements, j jobs.Job, end time.Time) error {
	if !j.Ephemeral {
		return nil
	}
	_, err := t.exec(ctx, `INSERT INTO drops (job_id, due_at) VALUES (?, ?)`,
		id(j.ID), micros(end.Add(jobs.EphemeralHold)))
	return err
}

// Delivered brings a drop forward: see [jobs.SubmitStore].
func (s *Store) Delivered(ctx context.Context, tenant string, jobID uuid.UUID, at time.Time) error {
	_, err := change(ctx, s, "note a delivery", func(ctx context.Context, t *statements) (int64, error) {
		return t.exec(ctx, `
			UPDATE drops SET due_at = ?1 WHERE due_at > ?1
				AND job_id = (SELECT id FROM jobs WHERE id = ?2 AND tenant = ?3 AND status <> 'queued')`,
			micros(at.Add(jobs.DeliveredHold)), id(jobID), tenant)
	})
	return err
}

// Drop makes ephemeral jobs forget: see [jobs.ControlStore]. Most looks find
// none: those do not wait for the one writer.
func (s *Store) Drop(ctx context.Context, now time.Time, limit int) (int, error) {
	due, err := read(ctx, s, "look for what is to be dropped",
		func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
			return all(ctx, q, scanID, `
				SELECT d.job_id FROM drops d JOIN jobs j ON j.id = d.job_id
				WHERE d.due_at <= ? AND j.status <> 'queued' ORDER BY d.due_at LIMIT +?`, micros(now), limit)
		})
	if err != nil || len(due) == 0 {
		return 0, err
	}
	return change(ctx, s, "drop what was delivered", func(ctx context.Context, t *statements) (dropped int, err error) {
		for _, jobID := range due {
			ok, err := dropJob(ctx, t, jobID, now)
			if err != nil {
				return 0, err
			}
			if ok {
				dropped++
			}
		}
		return dropped, nil
	})
}

// dropJob reports false for a job that is not there any more. What its execution
// tells beside the answer is the job's own from then on.
func dropJob(ctx context.Context, t *statements, jobID uuid.UUID, now time.Time) (bool, error) {
	var execution, answer uuid.UUID
	ok, err := found(t.row(ctx, `
		UPDATE jobs SET dropped_at = ?, error_message = '' WHERE id = ? AND dropped_at = 0
		RETURNING execution_id, coalesce(answer_of, execution_id)`, micros(now), id(jobID)).Scan(&execution, &answer))
	if err != nil || !ok {
		return false, err
	}
	if _, err := t.exec(ctx, `DELETE FROM drops WHERE job_id = ?`, id(jobID)); err != nil {
		return false, err
	}
	if err := blankOrphan(ctx, t, execution); err != nil {
		return false, err
	}
	return true, blankOrphan(ctx, t, answer)
}

// blankOrphan forgets the payloads of an execution if every job that has it has
// dropped them. A job that was cancelled or expired has no part in the answer.
func blankOrphan(ctx context.Context, t *statements, execution uuid.UUID) error {
	const (
		ofOthers = ` WHERE execution_id = ?1
			AND NOT EXISTS (SELECT 1 FROM jobs WHERE answer_of = ?1 AND dropped_at = 0)
			AND NOT EXISTS (SELECT 1 FROM jobs WHERE execution_id = ?1 AND dropped_at = 0`
		unused     = ofOthers + `)`
		unanswered = ofOthers + ` AND status NOT IN ('cancelled', 'expired'))`
	)
	for _, statement := range []string{
		`UPDATE requests SET body = x'', key_id = NULL` + unused,
		`UPDATE results SET body = NULL, error_message = '', key_id = NULL, cacheable = 0` + unanswered,
		`UPDATE calls SET partial = '', key_id = NULL` + unused,
	} {
		if _, err := t.exec(ctx, statement, id(execution)); err != nil {
			return err
		}
	}
	return nil
}
