package sqlite

import (
	"context"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// Release releases executions: see [jobs.DispatchStore].
func (s *Store) Release(ctx context.Context, releases []jobs.Release, at time.Time) ([]jobs.Task, error) {
	return change(ctx, s, "release", func(ctx context.Context, t *statements) ([]jobs.Task, error) {
		var tasks []jobs.Task
		for _, r := range releases {
			task, ok, err := release(ctx, t, r, at)
			if err != nil {
				return nil, err
			}
			if ok {
				tasks = append(tasks, task)
			}
		}
		return tasks, nil
	})
}

// release reports false when the execution has moved, has ended, or has to wait.
func release(ctx context.Context, t *statements, r jobs.Release, at time.Time) (jobs.Task, bool, error) {
	task := jobs.Task{Execution: r.Execution, Fence: r.Fence + 1, Provider: r.Provider}
	var tenant, useCase string
	ok, err := found(t.row(ctx, `
		UPDATE queue SET fence = fence + 1, visible_at = ?1, waiting_on = ''
		WHERE id = ?2 AND fence = ?3 AND visible_at <= ?4 AND (NOT ?5 OR `+allLookedAt+`?2))
		RETURNING priority, tenant, use_case`,
		int64(never), id(r.Execution), r.Fence, micros(at), r.Degraded).Scan(&task.Priority, &tenant, &useCase))
	if err != nil || !ok {
		return jobs.Task{}, false, err
	}
	_, err = t.exec(ctx, `
		INSERT INTO releases (execution_id, fence, provider, model, priority, tenant, released_at, degraded, use_case)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id(r.Execution), task.Fence, r.Provider, r.Model, int(task.Priority), tenant, micros(at), r.Degraded, useCase)
	return task, err == nil, err
}
