package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// OpenCall records another call of a run: see [jobs.RunStore].
func (s *Store) OpenCall(ctx context.Context, worker uuid.UUID, c jobs.Call) error {
	_, err := change(ctx, s, "record a call", func(ctx context.Context, t *statements) (struct{}, error) {
		var one int
		ok, err := found(t.row(ctx, `SELECT 1 FROM releases WHERE execution_id = ? AND fence = ? AND worker = ?`,
			id(c.Execution), c.Fence, id(worker)).Scan(&one))
		if err != nil {
			return struct{}{}, err
		}
		if !ok {
			return struct{}{}, jobs.ErrStale
		}
		return struct{}{}, openCall(ctx, t, c)
	})
	return err
}

// CloseCall records what became of a call: see [jobs.RunStore].
func (s *Store) CloseCall(ctx context.Context, c jobs.Call) error {
	_, err := change(ctx, s, "close a call", func(ctx context.Context, t *statements) (struct{}, error) {
		return struct{}{}, recordCall(ctx, t, jobs.Task{Execution: c.Execution, Fence: c.Fence}, c)
	})
	return err
}
