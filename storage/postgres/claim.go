package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/group"
)

// Claim starts a run: see [jobs.RunStore]. A worker that is not known claims
// nothing: [jobs.ErrStale].
func (s *Store) Claim(ctx context.Context, c jobs.Claim) (jobs.Work, error) {
	return do(ctx, s.groups.claim, c)
}

// claimAll is one round trip.
func (s *Store) claimAll(ctx context.Context, claims []jobs.Claim) ([]group.Result[jobs.Work], error) {
	results := make([]group.Result[jobs.Work], len(claims))
	err := s.write(ctx, "claim", func(_ context.Context, t *txn) error {
		for i := range results {
			results[i] = group.Result[jobs.Work]{Err: jobs.ErrStale}
		}
		lockWorkers(t, column(claims, func(c jobs.Claim) uuid.UUID { return c.Worker }))
		lockExecutions(t, column(claims, func(c jobs.Claim) uuid.UUID { return c.Task.Execution }))
		take(t, claims)
		readWork(t, claims, results)
		return nil
	})
	return results, err
}

// lockWorkers keeps workers from being declared dead meanwhile.
func lockWorkers(t *txn, ids []uuid.UUID) {
	t.exec(`SELECT FROM workers WHERE id = ANY ($1::uuid[]) ORDER BY id FOR KEY SHARE`, ids)
}

// take marks the releases as the workers' and records the first calls, open.
func take(t *txn, claims []jobs.Claim) {
	const update = `
		WITH c AS (
			SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[], $5::timestamptz[])
				AS c (execution_id, fence, worker, call_id, at)
		), taken AS (
			UPDATE releases r SET worker = c.worker, call_id = c.call_id, claimed_at = c.at
			FROM c JOIN workers w ON w.id = c.worker
			WHERE r.execution_id = c.execution_id AND r.execution_id = ANY ($1) AND r.fence = c.fence AND r.worker IS NULL
			RETURNING r.execution_id, r.fence, r.tenant, r.provider, r.model, r.call_id, r.claimed_at
		), started AS (
			UPDATE queue q SET started_at = coalesce(q.started_at, taken.claimed_at)
			FROM taken WHERE q.id = taken.execution_id AND q.id = ANY ($1)
			RETURNING q.id, q.hash
		)
		INSERT INTO calls (id, execution_id, fence, tenant, request_hash, provider, model, created_at)
		SELECT taken.call_id, taken.execution_id, taken.fence, taken.tenant, started.hash, taken.provider, taken.model,
			taken.claimed_at
		FROM taken JOIN started ON started.id = taken.execution_id`
	t.exec(update,
		column(claims, func(c jobs.Claim) uuid.UUID { return c.Task.Execution }),
		column(claims, func(c jobs.Claim) int64 { return c.Task.Fence }),
		column(claims, func(c jobs.Claim) uuid.UUID { return c.Worker }),
		column(claims, func(c jobs.Claim) uuid.UUID { return c.Call }),
		column(claims, func(c jobs.Claim) time.Time { return c.At }))
}

// readWork answers the claims whose release is now theirs, by this transaction
// or by an earlier one whose answer was lost.
func readWork(t *txn, claims []jobs.Claim, results []group.Result[jobs.Work]) {
	const query = `
		SELECT c.n, r.priority, q.tenant, q.hash, req.endpoint, req.body, q.route, q.target, r.provider, r.model,
			r.degraded, q.tries, q.stop_at
		FROM unnest($1::uuid[], $2::bigint[], $3::uuid[], $4::uuid[])
			WITH ORDINALITY AS c (execution_id, fence, worker, call_id, n)
		CROSS JOIN LATERAL (
			SELECT r.priority, r.provider, r.model, r.degraded FROM releases r
			WHERE r.execution_id = c.execution_id AND r.fence = c.fence AND r.worker = c.worker AND r.call_id = c.call_id
			OFFSET 0
		) r
		CROSS JOIN LATERAL (SELECT * FROM queue q WHERE q.id = c.execution_id OFFSET 0) q
		CROSS JOIN LATERAL (
			SELECT r.endpoint, r.body FROM requests r WHERE r.execution_id = c.execution_id OFFSET 0
		) req`
	t.each(func(rows pgx.Rows) error {
		var n int
		var body []byte
		var w jobs.Work
		err := rows.Scan(&n, &w.Task.Priority, &w.Tenant, &w.RequestHash, &w.Endpoint, &body, &w.Route, &w.Target,
			&w.Provider, &w.Model, &w.Degraded, &w.Tries, &w.StopAt)
		if err != nil {
			return err
		}
		c := claims[n-1]
		w.Task.Execution, w.Task.Fence, w.Task.Provider = c.Task.Execution, c.Task.Fence, w.Provider
		w.Call, w.Body = c.Call, body
		results[n-1] = group.Result[jobs.Work]{Value: w}
		return nil
	}, query,
		column(claims, func(c jobs.Claim) uuid.UUID { return c.Task.Execution }),
		column(claims, func(c jobs.Claim) int64 { return c.Task.Fence }),
		column(claims, func(c jobs.Claim) uuid.UUID { return c.Worker }),
		column(claims, func(c jobs.Claim) uuid.UUID { return c.Call }))
}
