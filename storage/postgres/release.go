package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// Release releases each under its next fence: see [jobs.DispatchStore]. What is not
// for a lesser target is offered for one no more: a program from before there was such
// a thing attached a job and did not say so.
func (s *Store) Release(ctx context.Context, releases []jobs.Release, at time.Time) (tasks []jobs.Task, err error) {
	const release = `
		WITH moved AS (
			UPDATE queue q SET fence = q.fence + 1, visible_at = 'infinity', waiting_on = ''
			FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::text[], $6::boolean[])
				AS v (id, fence, provider, model, degraded)
			WHERE q.id = v.id AND q.id = ANY ($1) AND q.fence = v.fence AND q.visible_at <= $5
				AND (NOT v.degraded OR ` + allLookedAt + `)
			RETURNING q.id, q.fence, q.priority, q.tenant, q.use_case, v.provider, v.model, v.degraded
		), refused AS (
			UPDATE queue q SET degradable = false FROM unnest($1::uuid[], $6::boolean[]) AS v (id, degraded)
			WHERE q.id = v.id AND q.id = ANY ($1) AND v.degraded AND q.degradable AND NOT ` + allDegrade + `
		)
		INSERT INTO releases (execution_id, fence, provider, model, priority, tenant, released_at, degraded, use_case)
		SELECT id, fence, provider, model, priority, tenant, $5, degraded, use_case FROM moved
		RETURNING execution_id, fence, provider, priority`
	releases, _ = distinct(releases, func(r jobs.Release) uuid.UUID { return r.Execution })
	if len(releases) == 0 {
		return nil, nil
	}
	ids := column(releases, func(r jobs.Release) uuid.UUID { return r.Execution })
	err = s.write(ctx, "release", func(_ context.Context, t *txn) error {
		tasks = nil
		lockExecutions(t, ids)
		t.each(appendTask(&tasks), release, ids,
			column(releases, func(r jobs.Release) int64 { return r.Fence }),
			column(releases, func(r jobs.Release) string { return r.Provider }),
			column(releases, func(r jobs.Release) string { return r.Model }),
			at,
			column(releases, func(r jobs.Release) bool { return r.Degraded }))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return inOrderOf(ids, tasks), nil
}

func appendTask(to *[]jobs.Task) func(rows pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var t jobs.Task
		err := rows.Scan(&t.Execution, &t.Fence, &t.Provider, &t.Priority)
		*to = append(*to, t)
		return err
	}
}

// inOrderOf returns the tasks in the order of the ids.
func inOrderOf(ids []uuid.UUID, tasks []jobs.Task) []jobs.Task {
	byID := make(map[uuid.UUID]jobs.Task, len(tasks))
	for _, t := range tasks {
		byID[t.Execution] = t
	}
	sorted := tasks[:0]
	for _, id := range ids {
		if t, ok := byID[id]; ok {
			sorted = append(sorted, t)
		}
	}
	return sorted
}

// Unclaimed lists releases that no worker has claimed: see
// [jobs.ControlStore].
func (s *Store) Unclaimed(ctx context.Context, before time.Time, limit int) (tasks []jobs.Task, err error) {
	const query = `
		SELECT execution_id, fence, provider, priority FROM releases
		WHERE worker IS NULL AND released_at < $1
		ORDER BY released_at, execution_id LIMIT $2`
	err = s.bounded(ctx, "list unclaimed releases", func(ctx context.Context) error {
		tasks = nil
		rows, err := s.pool.Query(ctx, query, before, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := appendTask(&tasks)(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
	return tasks, err
}

// Requeue takes back releases that are still unclaimed: see
// [jobs.ControlStore].
func (s *Store) Requeue(ctx context.Context, tasks []jobs.Task) (n int, err error) {
	const requeue = `
		WITH taken AS (
			DELETE FROM releases r USING unnest($1::uuid[], $2::bigint[]) AS v (id, fence)
			WHERE r.execution_id = v.id AND r.execution_id = ANY ($1) AND r.fence = v.fence AND r.worker IS NULL
			RETURNING r.execution_id
		), ready AS (
			UPDATE queue q SET visible_at = 'epoch' FROM taken WHERE q.id = taken.execution_id AND q.id = ANY ($1)
			RETURNING q.id
		)
		SELECT count(*) FROM ready`
	if len(tasks) == 0 {
		return 0, nil
	}
	ids := column(tasks, func(t jobs.Task) uuid.UUID { return t.Execution })
	err = s.write(ctx, "requeue", func(_ context.Context, t *txn) error {
		lockExecutions(t, ids)
		t.each(func(rows pgx.Rows) error { return rows.Scan(&n) }, requeue, ids,
			column(tasks, func(t jobs.Task) int64 { return t.Fence }))
		return nil
	})
	return n, err
}
