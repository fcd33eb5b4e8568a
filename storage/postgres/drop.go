package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// insertDrops notes when the data of new ephemeral jobs is dropped at the latest.
// Whoever ends them brings that forward.
func insertDrops(t *txn, members []*submission) {
	ephemeral := slices.DeleteFunc(slices.Clone(members), func(m *submission) bool { return !m.Job.Ephemeral })
	if len(ephemeral) == 0 {
		return
	}
	t.exec(`INSERT INTO drops (job_id, due_at) SELECT * FROM unnest($1::uuid[], $2::timestamptz[])`,
		column(ephemeral, func(m *submission) uuid.UUID { return m.Job.ID }),
		column(ephemeral, func(m *submission) time.Time {
			end := m.done.Job.FinishedAt
			if end.IsZero() {
				end = m.Job.Deadline
			}
			return end.Add(jobs.EphemeralHold)
		}))
}

// holdEnded lets the answers of ephemeral jobs that end wait to be delivered.
func holdEnded(t *txn, ends []jobEnd) {
	const bringForward = `
		UPDATE drops d SET due_at = v.due_at FROM unnest($1::uuid[], $2::timestamptz[]) AS v (job_id, due_at)
		WHERE d.job_id = v.job_id AND d.job_id = ANY ($1) AND d.due_at > v.due_at`
	ephemeral := slices.DeleteFunc(slices.Clone(ends), func(e jobEnd) bool { return !e.ephemeral })
	if len(ephemeral) == 0 {
		return
	}
	t.exec(bringForward,
		column(ephemeral, func(e jobEnd) uuid.UUID { return e.job }),
		column(ephemeral, func(e jobEnd) time.Time { return e.at.Add(jobs.EphemeralHold) }))
}

// Delivered brings a drop forward: see [jobs.SubmitStore].
func (s *Store) Delivered(ctx context.Context, tenant string, id uuid.UUID, at time.Time) error {
	const update = `
		UPDATE drops d SET due_at = $3
		WHERE d.job_id = (SELECT j.id FROM jobs j WHERE j.id = $1 AND j.tenant = $2 AND j.status <> 'queued')
			AND d.due_at > $3`
	return s.bounded(ctx, "note a delivery", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, update, id, tenant, at.Add(jobs.DeliveredHold))
		return err
	})
}

// Drop makes ephemeral jobs forget: see [jobs.ControlStore]. What is to be
// dropped is not locked in drops, but as in Delete: in one order.
func (s *Store) Drop(ctx context.Context, now time.Time, limit int) (dropped int, err error) {
	const due = `
		SELECT d.job_id FROM drops d
		CROSS JOIN LATERAL (SELECT j.status FROM jobs j WHERE j.id = d.job_id OFFSET 0) j
		WHERE d.due_at <= $1 AND j.status <> 'queued'
		ORDER BY d.due_at LIMIT $2`
	const drop = `
		UPDATE jobs SET dropped_at = $2, error_message = NULL WHERE id = ANY ($1::uuid[]) AND dropped_at IS NULL
		RETURNING id`
	err = s.write(ctx, "drop what was delivered", func(ctx context.Context, t *txn) error {
		var ids, done []uuid.UUID
		t.each(appendID(&ids), due, now, limit)
		if err := t.flush(ctx); err != nil || len(ids) == 0 {
			return err
		}
		executions, err := lockData(ctx, t, ids)
		if err != nil {
			return err
		}
		t.each(appendID(&done), drop, ids, now)
		t.exec(`DELETE FROM drops WHERE job_id = ANY ($1::uuid[])`, ids)
		blankUnused(t, executions)
		if err := t.flush(ctx); err != nil {
			return err
		}
		dropped = len(done)
		return nil
	})
	return dropped, err
}

// lockData locks what is kept of the executions that the jobs have something of,
// and returns those. Jobs that forget or are deleted at once do so one after the
// other, so that the last one finds that it is the last; and no submission copies
// a result that is going.
func lockData(ctx context.Context, t *txn, ids []uuid.UUID) ([]uuid.UUID, error) {
	const read = `
		SELECT DISTINCT e.id FROM jobs j CROSS JOIN LATERAL (VALUES (j.execution_id), (j.answer_of)) AS e (id)
		WHERE j.id = ANY ($1::uuid[]) AND e.id IS NOT NULL`
	const lock = ` WHERE execution_id = ANY ($1::uuid[]) ORDER BY execution_id FOR UPDATE`
	var executions []uuid.UUID
	t.each(appendID(&executions), read, ids)
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	t.exec(`SELECT FROM requests`+lock, executions)
	t.exec(`SELECT FROM results`+lock, executions)
	return executions, t.flush(ctx)
}

// blankUnused queues the forgetting of what executions left that every one of
// their jobs has dropped. A job that was cancelled or expired has no part in the
// answer.
func blankUnused(t *txn, executions []uuid.UUID) {
	const unused = ` WHERE d.execution_id = ANY ($1::uuid[])
		AND NOT EXISTS (SELECT FROM jobs j WHERE j.execution_id = d.execution_id AND j.dropped_at IS NULL)
		AND NOT EXISTS (SELECT FROM jobs j WHERE j.answer_of = d.execution_id AND j.dropped_at IS NULL)`
	const unanswered = ` WHERE d.execution_id = ANY ($1::uuid[])
		AND NOT EXISTS (SELECT FROM jobs j WHERE j.execution_id = d.execution_id AND j.dropped_at IS NULL
			AND j.status NOT IN ('cancelled', 'expired'))
		AND NOT EXISTS (SELECT FROM jobs j WHERE j.answer_of = d.execution_id AND j.dropped_at IS NULL)`
	t.exec(`UPDATE requests d SET body = '', key_id = NULL`+unused, executions)
	t.exec(`UPDATE results d SET body = NULL, error_message = NULL, key_id = NULL, cacheable = false`+unanswered,
		executions)
	t.exec(`UPDATE calls d SET partial = NULL, key_id = NULL`+unused+` AND d.partial IS NOT NULL`, executions)
}
