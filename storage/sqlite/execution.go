package sqlite

import (
	"cmp"
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// execution is a row of queue, with the release it has, if it has one.
type execution struct {
	id      uuid.UUID
	tenant  string
	hash    string
	fence   int64
	tries   int
	crashes int
	// stopAt and startedAt are in microseconds.
	stopAt    int64
	startedAt int64
	payer     uuid.UUID
	noStore   bool
	settling  bool
	priority  jobs.Priority
	// provider is the one that answered last.
	provider string
	// released says that it has a release, made to the provider and model below.
	released   bool
	releasedTo jobs.Target
}

// task returns the execution as last released.
func (e execution) task() jobs.Task {
	return jobs.Task{Execution: e.id, Fence: e.fence, Provider: e.releasedTo.Provider, Priority: e.priority}
}

// executionByID reports false when there is no such live execution.
func executionByID(ctx context.Context, t *statements, executionID uuid.UUID) (execution, bool, error) {
	e := execution{id: executionID}
	ok, err := found(t.row(ctx, `
		SELECT q.tenant, q.hash, q.fence, q.tries, q.crashes, q.stop_at, q.started_at, q.payer_job_id, q.no_store, q.settling,
			q.provider, coalesce(r.priority, q.priority), r.execution_id IS NOT NULL,
			coalesce(r.provider, ''), coalesce(r.model, '')
		FROM queue q LEFT JOIN releases r ON r.execution_id = q.id
		WHERE q.id = ?`, id(executionID)).
		Scan(&e.tenant, &e.hash, &e.fence, &e.tries, &e.crashes, &e.stopAt, &e.startedAt, &e.payer, &e.noStore, &e.settling,
			&e.provider, &e.priority, &e.released, &e.releasedTo.Provider, &e.releasedTo.Model))
	return e, ok, err
}

// remove takes the execution, and the release it may have, out of the queue.
func (e execution) remove(ctx context.Context, t *statements) error {
	if _, err := t.exec(ctx, `DELETE FROM releases WHERE execution_id = ?`, id(e.id)); err != nil {
		return err
	}
	_, err := t.exec(ctx, `DELETE FROM queue WHERE id = ?`, id(e.id))
	return err
}

// end is how a job ends.
type end struct {
	status jobs.Status
	// failure is set for a job that ends without its execution's outcome.
	failure jobs.JobError
	// at is in microseconds.
	at   int64
	cost *jobs.USD
	// staleAfter says which results may answer the job if its execution brings
	// none, in microseconds; 0: no other may.
	staleAfter int64
	// degraded says that the answer is one that only [jobs.OnUnavailableDegrade]
	// allows.
	degraded bool
}

// endJob writes a job's end and tells of it. The job is no longer one of its
// execution's unfinished ones.
func (e execution) endJob(ctx context.Context, t *statements, job uuid.UUID, how end) error {
	stale, err := e.answerStale(ctx, t, &how)
	if err != nil {
		return err
	}
	told := jobs.Job{ID: job, Tenant: e.tenant, Status: how.status, FinishedAt: when(how.at)}
	queued, err := found(scanTold(t.row(ctx, `
		UPDATE jobs SET status = ?, finished_at = ?, tries = ?, provider = ?, cost_usd = ?, error_code = ?, error_message = ?,
			started_at = CASE WHEN ?8 > 0 THEN max(?8, created_at) ELSE 0 END,
			answer_of = ?9, cached = ?9 IS NOT NULL, age = CASE WHEN ?9 IS NULL THEN 0 ELSE max(created_at - ?10, 0) END,
			degraded = ?11
		WHERE id = ?12 AND status = 'queued'
		RETURNING metadata, webhook_url, webhook_endpoint, batch_id, response`,
		string(how.status), how.at, e.tries, cmp.Or(stale.provider, e.provider), amount(how.cost),
		how.failure.Code, how.failure.Message, e.startedAt, stale.execution, stale.finishedAt, how.degraded, id(job)), &told))
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `UPDATE drops SET due_at = ? WHERE job_id = ?`,
		micros(when(how.at).Add(jobs.EphemeralHold)), id(job))
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `DELETE FROM live_jobs WHERE execution_id = ? AND job_id = ?`, id(e.id), id(job))
	if err != nil {
		return err
	}
	if !queued {
		return nil // it had ended, and that was told
	}
	return insertEvents(ctx, t, told)
}

// scanTold reads what decides who is told of a job's end.
func scanTold(row scanner, j *jobs.Job) error {
	var metadata, endpoint, batch []byte
	if err := row.Scan(&metadata, &j.Webhook.URL, &endpoint, &batch, &j.Response); err != nil {
		return err
	}
	copy(j.Webhook.Endpoint[:], endpoint)
	copy(j.Batch[:], batch)
	return readMetadata(metadata, j)
}

// Messages of jobs that end without an outcome.
const (
	messageExpired   = "the deadline passed before there was an answer"
	messageCancelled = "the job was cancelled"
	messagePoisoned  = "workers crashed while running it, as often as is allowed; a retry runs it again"
)

var failureExpired = jobs.JobError{Code: jobs.CodeExpired, Message: messageExpired}
