package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// Delete removes a job that has ended: see [jobs.SubmitStore].
func (s *Store) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	return s.write(ctx, "delete a job", func(ctx context.Context, t *txn) error {
		ids := []uuid.UUID{id}
		executions, err := lockData(ctx, t, ids)
		if err != nil {
			return err
		}
		if err := lockEnded(ctx, t, tenant, id); err != nil {
			return err
		}
		deleteJobs(t, ids, executions)
		return nil
	})
}

// lockEnded locks the tenant's job, if it has ended.
func lockEnded(ctx context.Context, t *txn, tenant string, id uuid.UUID) error {
	var status jobs.Status
	t.each(func(rows pgx.Rows) error { return rows.Scan(&status) },
		`SELECT status FROM jobs WHERE id = $1 AND tenant = $2 FOR UPDATE`, id, tenant)
	if err := t.flush(ctx); err != nil {
		return err
	}
	if status == "" {
		return jobs.ErrNotFound
	}
	if !status.Terminal() {
		return jobs.ErrLive
	}
	return nil
}

// deleteJobs queues the deletion of jobs that have ended, and of what their
// executions left that no other job has.
func deleteJobs(t *txn, ids, executions []uuid.UUID) {
	const unused = ` d WHERE d.execution_id = ANY ($1::uuid[])
		AND NOT EXISTS (SELECT FROM jobs j WHERE j.execution_id = d.execution_id)
		AND NOT EXISTS (SELECT FROM jobs j WHERE j.answer_of = d.execution_id)`
	deleteDeliveries(t, ids)
	t.exec(`DELETE FROM events WHERE job_id = ANY ($1::uuid[])`, ids)
	t.exec(`DELETE FROM drops WHERE job_id = ANY ($1::uuid[])`, ids)
	t.exec(`DELETE FROM jobs WHERE id = ANY ($1::uuid[])`, ids)
	for _, table := range []string{"calls", "results", "requests"} {
		t.exec(`DELETE FROM `+table+unused, executions)
	}
	blankUnused(t, executions)
}
