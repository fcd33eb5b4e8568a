package postgres

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Disclaim undoes a claim in doubt: see [jobs.RunStore].
func (s *Store) Disclaim(ctx context.Context, c jobs.Claim) error {
	const back = `
		WITH back AS (
			DELETE FROM releases
			WHERE execution_id = $1 AND fence = $2 AND (worker IS NULL OR worker = $3 AND call_id = $4)
			RETURNING execution_id
		)
		UPDATE queue q SET visible_at = 'epoch' FROM back WHERE q.id = back.execution_id AND q.id = $1`
	return s.write(ctx, "undo a claim", func(_ context.Context, t *txn) error {
		lockExecutions(t, []uuid.UUID{c.Task.Execution})
		closeCalls(t, []uuid.UUID{c.Task.Execution}, []uuid.UUID{c.Call})
		t.exec(back, c.Task.Execution, c.Task.Fence, c.Worker, c.Call)
		return nil
	})
}

// closeCalls closes those of the calls that are open as cancelled: they were not
// made, or nobody will hear of them.
func closeCalls(t *txn, executions, calls []uuid.UUID) {
	const update = `
		UPDATE calls c SET status = 'cancelled', error_class = 'cancelled'
		FROM unnest($1::uuid[], $2::uuid[]) AS v (execution_id, call_id)
		WHERE c.execution_id = v.execution_id AND c.id = v.call_id AND c.execution_id = ANY ($1) AND c.status IS NULL`
	t.exec(update, executions, calls)
}
