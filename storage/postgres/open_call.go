package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// OpenCall records another call of a run: see [jobs.RunStore]. It takes no lock
// on the execution: a release that is taken back meanwhile leaves an open call,
// as it does when it is taken back right after.
func (s *Store) OpenCall(ctx context.Context, worker uuid.UUID, c jobs.Call) error {
	const open = `
		INSERT INTO calls (id, execution_id, fence, tenant, request_hash, provider, model, created_at)
		SELECT $4, r.execution_id, r.fence, r.tenant, $5, $6, $7, $8
		FROM releases r WHERE r.execution_id = $1 AND r.fence = $2 AND r.worker = $3
		ON CONFLICT (execution_id, id) DO UPDATE SET fence = excluded.fence
		RETURNING true`
	kept := false
	err := s.write(ctx, "record a call", func(_ context.Context, t *txn) error {
		kept = false
		t.each(func(rows pgx.Rows) error { return rows.Scan(&kept) }, open,
			c.Execution, c.Fence, worker, c.ID, c.RequestHash, c.Provider, c.Model, c.CreatedAt)
		return nil
	})
	if err == nil && !kept {
		return jobs.ErrStale
	}
	return err
}

// CloseCall records what became of a call: see [jobs.RunStore].
func (s *Store) CloseCall(ctx context.Context, c jobs.Call) error {
	return s.write(ctx, "close a call", func(_ context.Context, t *txn) error {
		lockDeletable(t, []uuid.UUID{c.Execution})
		recordCalls(t, []jobs.Call{c})
		return nil
	})
}
