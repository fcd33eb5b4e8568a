package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// Cancel ends the job as cancelled unless it has ended: see
// [jobs.SubmitStore].
func (s *Store) Cancel(
	ctx context.Context, tenant string, id uuid.UUID, at time.Time,
) (job jobs.Job, stopped []jobs.Task, err error) {
	job, err = s.Job(ctx, tenant, id)
	if err != nil || job.Status.Terminal() {
		return job, nil, err
	}
	err = s.write(ctx, "cancel a job", func(ctx context.Context, t *txn) error {
		l, err := leave(ctx, t, []leaver{{execution: job.ExecutionID, job: id}},
			jobs.StatusCancelled, errCancelled(), at, true)
		if err != nil {
			return err
		}
		stopped = l.stopped
		viewJobs(t, []uuid.UUID{id}, func(j jobs.Job) { job = j })
		return nil
	})
	if err != nil {
		return jobs.Job{}, nil, err
	}
	return job, stopped, nil
}

// Delete removes a job that has ended: see [jobs.SubmitStore].
func (s *Store) Delete(ctx context.Context, tenant string, id uuid.UUID) error {
	return s.write(ctx, "delete a job", func(ctx context.Context, t *txn) error {
		executions, err := lockEnded(ctx, t, tenant, id)
		if err != nil {
			return err
		}
		t.exec(`DELETE FROM events WHERE job_id = $1`, id)
		t.exec(`DELETE FROM jobs WHERE id = $1`, id)
		deleteUnused(t, executions)
		return nil
	})
}

// lockEnded locks a job that has ended, with the data of the executions it has
// something of, and returns those. Two jobs that go at once go one after the other, and no
// submission copies a result that is going.
func lockEnded(ctx context.Context, t *txn, tenant string, id uuid.UUID) ([]uuid.UUID, error) {
	const ofJob = `
		WHERE execution_id IN (
			SELECT unnest(ARRAY[j.execution_id, j.answer_of]) FROM jobs j WHERE j.id = $1 AND j.tenant = $2)
		ORDER BY execution_id FOR UPDATE`
	const job = `SELECT execution_id, answer_of, status FROM jobs WHERE id = $1 AND tenant = $2 FOR UPDATE`
	var execution uuid.UUID
	var answer *uuid.UUID
	var status jobs.Status
	t.exec(`SELECT FROM requests`+ofJob, id, tenant)
	t.exec(`SELECT FROM results`+ofJob, id, tenant)
	t.each(func(rows pgx.Rows) error { return rows.Scan(&execution, &answer, &status) }, job, id, tenant)
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	if status == "" {
		return nil, jobs.ErrNotFound
	}
	if !status.Terminal() {
		return nil, jobs.ErrLive
	}
	if answer == nil {
		return []uuid.UUID{execution}, nil
	}
	return []uuid.UUID{execution, *answer}, nil
}

// deleteUnused removes what executions left that no job is served by.
func deleteUnused(t *txn, executions []uuid.UUID) {
	for _, table := range []string{"calls", "results", "requests"} {
		t.exec(`
			DELETE FROM `+table+` d WHERE d.execution_id = ANY ($1::uuid[])
				AND NOT EXISTS (SELECT FROM jobs j WHERE j.execution_id = d.execution_id)
				AND NOT EXISTS (SELECT FROM jobs j WHERE j.answer_of = d.execution_id)`, executions)
	}
}
