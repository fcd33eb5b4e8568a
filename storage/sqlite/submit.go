package sqlite

import (
	"context"
	"errors"

	"github.com/penstock-dev/penstock/jobs"
)

// Submit keeps s: see [jobs.SubmitStore].
func (s *Store) Submit(ctx context.Context, sub jobs.Submission) (jobs.Submitted, error) {
	return change(ctx, s, "submit a job", func(ctx context.Context, t *statements) (jobs.Submitted, error) {
		if sub.Idempotency != nil {
			j, err := replay(ctx, t, sub.Job.Tenant, *sub.Idempotency, sub.Job.CreatedAt)
			if !errors.Is(err, jobs.ErrNotFound) {
				return jobs.Submitted{Job: j, Replayed: err == nil}, err
			}
		}
		got, err := place(ctx, t, sub)
		if err != nil {
			return jobs.Submitted{}, err
		}
		return got, rememberKey(ctx, t, sub)
	})
}

// place finds an execution for the job: a live one, a finished one, a new one.
func place(ctx context.Context, t *statements, sub jobs.Submission) (jobs.Submitted, error) {
	if sub.CopyFirst {
		got, ok, err := copyFresh(ctx, t, sub)
		if err != nil || ok {
			return got, err
		}
	}
	if sub.Dedupe {
		live, ok, err := liveOf(ctx, t, sub.Job)
		if err != nil {
			return jobs.Submitted{}, err
		}
		if ok {
			return attach(ctx, t, sub, live)
		}
	}
	if sub.MaxAge > 0 && !sub.CopyFirst {
		got, ok, err := copyFresh(ctx, t, sub)
		if err != nil || ok {
			return got, err
		}
	}
	return create(ctx, t, sub)
}

func create(ctx context.Context, t *statements, sub jobs.Submission) (jobs.Submitted, error) {
	j := sub.Job
	j.ExecutionID, j.Status, j.WaitingOn = sub.Execution, jobs.StatusQueued, jobs.WaitingOnCapacity
	if err := insertJob(ctx, t, j); err != nil {
		return jobs.Submitted{}, err
	}
	if err := insertRequest(ctx, t, j, sub.Request); err != nil {
		return jobs.Submitted{}, err
	}
	if err := insertExecution(ctx, t, sub); err != nil {
		return jobs.Submitted{}, err
	}
	if err := insertDrop(ctx, t, j, j.Deadline); err != nil {
		return jobs.Submitted{}, err
	}
	if err := insertLive(ctx, t, j, sub); err != nil {
		return jobs.Submitted{}, err
	}
	return jobs.Submitted{Job: j, Ready: true}, nil
}

func insertJob(ctx context.Context, t *statements, j jobs.Job) error {
	metadata, err := metadataOf(j.Metadata)
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `
		INSERT INTO jobs (id, tenant, execution_id, status, endpoint, model, priority, deadline, created_at,
			finished_at, hash, deduplicated, cached, age, tries, provider, cost_usd, metadata, end_user, ephemeral,
			on_unavailable, use_case, webhook_url, webhook_endpoint, batch_id, response)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id(j.ID), j.Tenant, id(j.ExecutionID), string(j.Status), j.Endpoint, j.Model, int(j.Priority), micros(j.Deadline),
		micros(j.CreatedAt), micros(j.FinishedAt), j.RequestHash, j.Deduplicated, j.Cached, j.Age.Microseconds(),
		j.Tries, j.Provider, amount(j.CostUSD), metadata, j.User, j.Ephemeral, int(j.OnUnavailable), j.UseCase,
		j.Webhook.URL, idOrNull(j.Webhook.Endpoint), idOrNull(j.Batch), j.Response)
	return err
}

func insertRequest(ctx context.Context, t *statements, j jobs.Job, r jobs.Request) error {
	_, err := t.exec(ctx, `
		INSERT INTO requests (execution_id, tenant, hash, endpoint, route, body, sample, cost, created_at, key_id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id(j.ExecutionID), j.Tenant, j.RequestHash, r.Endpoint, r.Route, []byte(r.Body), r.Sample, r.Cost,
		micros(j.CreatedAt), idOrNull(r.KeyID))
	return err
}

func insertExecution(ctx context.Context, t *statements, sub jobs.Submission) error {
	j, key := sub.Job, sub.Job.RequestHash
	if !sub.Dedupe {
		key = sub.Execution.String()
	}
	_, err := t.exec(ctx, `
		INSERT INTO queue (id, tenant, dedupe_key, hash, route, priority, cost, deadline, stop_at, payer_job_id, no_store,
			degradable, use_case)
		VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11, ?12)`,
		id(sub.Execution), j.Tenant, key, j.RequestHash, sub.Request.Route, int(j.Priority), sub.Request.Cost,
		micros(j.Deadline), id(j.ID), sub.NoStore, sub.Degradable(), j.UseCase)
	return err
}

// insertLive makes the job one of its execution's unfinished jobs.
func insertLive(ctx context.Context, t *statements, j jobs.Job, sub jobs.Submission) error {
	_, err := t.exec(ctx, `
		INSERT INTO live_jobs (execution_id, job_id, tenant, priority, deadline, stale_after, on_unavailable, unserved_route)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		id(j.ExecutionID), id(j.ID), j.Tenant, int(j.Priority), micros(j.Deadline), micros(sub.StaleAfter()),
		int(j.OnUnavailable), sub.UnservedRoute())
	return err
}
