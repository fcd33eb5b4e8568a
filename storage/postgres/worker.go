package postgres

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// Beat says that the worker lives: see [jobs.RunStore].
func (s *Store) Beat(ctx context.Context, w jobs.Worker, running []jobs.Task) (obsolete []jobs.Task, err error) {
	const beat = `
		INSERT INTO workers (id, name, beat) VALUES ($1, $2, nextval('worker_beats'))
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, beat = excluded.beat`
	const look = `
		SELECT v.n FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS v (id, fence, n)
		WHERE (SELECT true FROM queue q WHERE q.id = v.id AND q.fence = v.fence AND NOT q.settling) IS NULL
		ORDER BY v.n`
	err = s.write(ctx, "beat", func(_ context.Context, t *txn) error {
		obsolete = nil
		t.exec(beat, w.ID, w.Name)
		if len(running) == 0 {
			return nil
		}
		t.each(func(rows pgx.Rows) error {
			var n int
			if err := rows.Scan(&n); err != nil {
				return err
			}
			obsolete = append(obsolete, running[n-1])
			return nil
		}, look,
			column(running, func(t jobs.Task) uuid.UUID { return t.Execution }),
			column(running, func(t jobs.Task) int64 { return t.Fence }))
		return nil
	})
	return obsolete, err
}

// Workers lists the known workers.
func (s *Store) Workers(ctx context.Context) (workers []jobs.Worker, err error) {
	err = s.bounded(ctx, "list workers", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT id, name, beat FROM workers ORDER BY id`)
		if err != nil {
			return err
		}
		workers, err = pgx.CollectRows(rows, pgx.RowToStructByPos[jobs.Worker])
		return err
	})
	return workers, err
}

// Retire forgets a worker that stops in good order: see [jobs.RunStore].
func (s *Store) Retire(ctx context.Context, worker uuid.UUID) error {
	return s.write(ctx, "retire a worker", func(ctx context.Context, t *txn) error {
		if _, err := lockWorker(ctx, t, worker); err != nil {
			return err
		}
		held, err := lockHeld(ctx, t, worker)
		if err != nil {
			return err
		}
		closeHeld(t, worker, held)
		makeReady(t, held)
		t.exec(`DELETE FROM workers WHERE id = $1`, worker)
		return nil
	})
}

// lockWorker locks the worker, so that it claims nothing more, and returns its
// last beat: zero, which no beat is, if it is not known.
func lockWorker(ctx context.Context, t *txn, worker uuid.UUID) (beat int64, err error) {
	t.each(func(rows pgx.Rows) error { return rows.Scan(&beat) },
		`SELECT beat FROM workers WHERE id = $1 FOR UPDATE`, worker)
	return beat, t.flush(ctx)
}

// lockHeld locks the executions that a locked worker runs and returns them.
func lockHeld(ctx context.Context, t *txn, worker uuid.UUID) ([]uuid.UUID, error) {
	const held = `SELECT execution_id FROM releases WHERE worker = $1`
	var ids, still []uuid.UUID
	t.each(appendID(&ids), held, worker)
	if err := t.flush(ctx); err != nil || len(ids) == 0 {
		return nil, err
	}
	lockExecutions(t, ids)
	t.each(appendID(&still), held, worker)
	return still, t.flush(ctx)
}

// closeHeld closes the open calls of a locked worker's runs as cancelled: nobody
// will hear of them.
func closeHeld(t *txn, worker uuid.UUID, held []uuid.UUID) {
	const update = `
		UPDATE calls c SET status = 'cancelled', error_class = 'cancelled' FROM releases r
		WHERE r.worker = $1 AND c.execution_id = r.execution_id AND c.fence = r.fence
			AND c.execution_id = ANY ($2::uuid[]) AND c.status IS NULL`
	if len(held) > 0 {
		t.exec(update, worker, held)
	}
}

func appendID(to *[]uuid.UUID) func(rows pgx.Rows) error {
	return func(rows pgx.Rows) error {
		var id uuid.UUID
		err := rows.Scan(&id)
		*to = append(*to, id)
		return err
	}
}

// makeReady takes back the releases of locked executions: they may be released
// again at once, under their next fence.
func makeReady(t *txn, ids []uuid.UUID) {
	if len(ids) == 0 {
		return
	}
	t.exec(`DELETE FROM releases WHERE execution_id = ANY ($1::uuid[])`, ids)
	t.exec(`UPDATE queue SET visible_at = 'epoch' WHERE id = ANY ($1::uuid[])`, ids)
}
