package postgres

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Disclaim undoes a claim in doubt: see [jobs.RunStore].
func (s *Store) Disclaim(ctx context.Context, c jobs.Claim) error {
	const closed = `
		UPDATE calls SET status = 'cancelled', error_class = 'cancelled'
		WHERE execution_id = $1 AND id = $2 AND status IS NULL`
	const back = `
		WITH back AS (
			DELETE FROM releases
			WHERE execution_id = $1 AND fence = $2 AND (worker IS NULL OR worker = $3 AND call_id = $4)
			RETURNING execution_id
		)
		UPDATE queue q SET visible_at = 'epoch' FROM back WHERE q.id = back.execution_id AND q.id = $1`
	return s.write(ctx, "undo a claim", func(_ context.Context, t *txn) error {
		lockExecutions(t, []uuid.UUID{c.Task.Execution})
		t.exec(closed, c.Task.Execution, c.Call)
		t.exec(back, c.Task.Execution, c.Task.Fence, c.Worker, c.Call)
		return nil
	})
}
