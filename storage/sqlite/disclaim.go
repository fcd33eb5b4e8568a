package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Disclaim undoes a claim in doubt: see [jobs.RunStore].
func (s *Store) Disclaim(ctx context.Context, c jobs.Claim) error {
	_, err := change(ctx, s, "undo a claim", func(ctx context.Context, t *statements) (struct{}, error) {
		if err := closeCall(ctx, t, c.Task.Execution, c.Call); err != nil {
			return struct{}{}, err
		}
		var one int
		ok, err := found(t.row(ctx, `
			SELECT 1 FROM releases
			WHERE execution_id = ? AND fence = ? AND (worker IS NULL OR worker = ? AND call_id = ?)`,
			id(c.Task.Execution), c.Task.Fence, id(c.Worker), id(c.Call)).Scan(&one))
		if err != nil || !ok {
			return struct{}{}, err
		}
		return struct{}{}, takeBack(ctx, t, c.Task.Execution)
	})
	return err
}

// closeCall closes the call as cancelled if it is open: it was not made, or
// nobody will hear of it.
func closeCall(ctx context.Context, t *statements, execution, call uuid.UUID) error {
	_, err := t.exec(ctx, `
		UPDATE calls SET status = 'cancelled', error_class = 'cancelled'
		WHERE execution_id = ? AND id = ? AND status IS NULL`, id(execution), id(call))
	return err
}
