package sqlite

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// errUnknownWorker says that a claim came from a worker without a beat. Nobody
// would ever notice that it died.
var errUnknownWorker = errors.New("the worker is not known: it must beat before it claims")

// Claim starts a run: see [jobs.RunStore].
func (s *Store) Claim(ctx context.Context, c jobs.Claim) (jobs.Work, error) {
	return change(ctx, s, "claim", func(ctx context.Context, t *statements) (jobs.Work, error) {
		work, taken, err := workOf(ctx, t, c)
		if err != nil {
			return jobs.Work{}, err
		}
		if taken {
			return work, nil
		}
		if err := mustBeKnown(ctx, t, c.Worker); err != nil {
			return jobs.Work{}, err
		}
		return work, takeOn(ctx, t, c, work)
	})
}

// workOf returns what the claim asks for, and whether the same claim has it
// already. [jobs.ErrStale] when it is past, gone, or another's.
func workOf(ctx context.Context, t *statements, c jobs.Claim) (work jobs.Work, taken bool, err error) {
	work = jobs.Work{Task: c.Task, Call: c.Call}
	var (
		worker, call uuid.NullUUID
		stopAt       int64
		body         []byte
	)
	ok, err := found(t.row(ctx, `
		SELECT q.tenant, q.hash, q.target, q.tries, q.stop_at, q.route, r.provider, r.model, r.degraded, r.priority, r.worker, r.call_id,
			req.endpoint, req.body
		FROM queue q
		JOIN releases r ON r.execution_id = q.id AND r.fence = q.fence
		JOIN requests req ON req.execution_id = q.id
		WHERE q.id = ? AND q.fence = ?`,
		id(c.Task.Execution), c.Task.Fence).
		Scan(&work.Tenant, &work.RequestHash, &work.Target, &work.Tries, &stopAt, &work.Route, &work.Provider, &work.Model, &work.Degraded,
			&work.Task.Priority, &worker, &call, &work.Endpoint, &body))
	if err != nil {
		return jobs.Work{}, false, err
	}
	taken = worker.Valid
	if !ok || taken && (worker.UUID != c.Worker || call.UUID != c.Call) {
		return jobs.Work{}, false, jobs.ErrStale
	}
	work.Task.Provider, work.StopAt, work.Body = work.Provider, when(stopAt), body
	return work, taken, nil
}

func mustBeKnown(ctx context.Context, t *statements, worker uuid.UUID) error {
	var one int
	ok, err := found(t.row(ctx, `SELECT 1 FROM workers WHERE id = ?`, id(worker)).Scan(&one))
	if err == nil && !ok {
		return errUnknownWorker
	}
	return err
}

// takeOn marks the release as the worker's and opens its first call.
func takeOn(ctx context.Context, t *statements, c jobs.Claim, work jobs.Work) error {
	_, err := t.exec(ctx, `UPDATE releases SET worker = ?, call_id = ?, claimed_at = ? WHERE execution_id = ?`,
		id(c.Worker), id(c.Call), micros(c.At), id(c.Task.Execution))
	if err != nil {
		return err
	}
	_, err = t.exec(ctx, `UPDATE queue SET started_at = ? WHERE id = ? AND started_at = 0`,
		micros(c.At), id(c.Task.Execution))
	if err != nil {
		return err
	}
	return openCall(ctx, t, jobs.Call{
		ID: c.Call, Execution: c.Task.Execution, Fence: c.Task.Fence, Tenant: work.Tenant, RequestHash: work.RequestHash,
		Provider: work.Provider, Model: work.Model, CreatedAt: c.At,
	})
}
