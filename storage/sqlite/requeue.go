package sqlite

import (
	"context"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// Unclaimed lists releases that nobody has claimed: see [jobs.ControlStore].
func (s *Store) Unclaimed(ctx context.Context, before time.Time, limit int) ([]jobs.Task, error) {
	return read(ctx, s, "list unclaimed releases", func(ctx context.Context, q *statements) ([]jobs.Task, error) {
		return all(ctx, q, func(row scanner) (jobs.Task, error) {
			var t jobs.Task
			return t, row.Scan(&t.Execution, &t.Fence, &t.Provider, &t.Priority)
		}, `
			SELECT execution_id, fence, provider, priority FROM releases
			WHERE worker IS NULL AND released_at < ?
			ORDER BY released_at, execution_id LIMIT +?`, micros(before), limit)
	})
}

// Requeue takes back releases that nobody has claimed: see [jobs.ControlStore].
func (s *Store) Requeue(ctx context.Context, tasks []jobs.Task) (int, error) {
	return change(ctx, s, "requeue", func(ctx context.Context, t *statements) (int, error) {
		requeued := 0
		for _, task := range tasks {
			var one int
			ok, err := found(t.row(ctx, `
				SELECT 1 FROM releases WHERE execution_id = ? AND fence = ? AND worker IS NULL`,
				id(task.Execution), task.Fence).Scan(&one))
			if err != nil {
				return 0, err
			}
			if !ok {
				continue
			}
			if err := takeBack(ctx, t, task.Execution); err != nil {
				return 0, err
			}
			requeued++
		}
		return requeued, nil
	})
}
