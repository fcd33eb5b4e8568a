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
		execution, err := lockEnded(ctx, t, tenant, id)
		if err != nil {
			return err
		}
		t.exec(`DELETE FROM events WHERE job_id = $1`, id)
		t.exec(`DELETE FROM jobs WHERE id = $1`, id)
		deleteUnused(t, execution)
		return nil
	})
}

// lockEnded locks a job that has ended, with the data of its execution, and
// returns the execution. Two jobs that go at once go one after the other, and no
// submission copies a result that is going.
func lockEnded(ctx context.Context, t *txn, tenant string, id uuid.UUID) (uuid.UUID, error) {
	const data = `
		SELECT FROM requests
		WHERE execution_id = (SELECT j.execution_id FROM jobs j WHERE j.id = $1 AND j.tenant = $2) FOR UPDATE`
	const result = `
		SELECT FROM results
		WHERE execution_id = (SELECT j.execution_id FROM jobs j WHERE j.id = $1 AND j.tenant = $2) FOR UPDATE`
	const job = `SELECT execution_id, status FROM jobs WHERE id = $1 AND tenant = $2 FOR UPDATE`
	var execution uuid.UUID
	var status jobs.Status
	t.exec(data, id, tenant)
	t.exec(result, id, tenant)
	t.each(func(rows pgx.Rows) error { return rows.Scan(&execution, &status) }, job, id, tenant)
	if err := t.flush(ctx); err != nil {
		return uuid.Nil, err
	}
	if status == "" {
		return uuid.Nil, jobs.ErrNotFound
	}
	if !status.Terminal() {
		return uuid.Nil, jobs.ErrLive
	}
	return execution, nil
}

// deleteUnused removes what an execution left if no job is served by it.
func deleteUnused(t *txn, execution uuid.UUID) {
	const unused = ` WHERE execution_id = $1 AND NOT EXISTS (
		SELECT FROM jobs j WHERE j.execution_id = $1)`
	t.exec(`DELETE FROM calls`+unused, execution)
	t.exec(`DELETE FROM results`+unused, execution)
	t.exec(`DELETE FROM requests`+unused, execution)
}
