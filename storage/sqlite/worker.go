package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Beat says that the worker lives: see [jobs.RunStore]. The beat is a number of
// the store's own, which grows with every beat of any worker.
func (s *Store) Beat(ctx context.Context, w jobs.Worker, running []jobs.Task) ([]jobs.Task, error) {
	return change(ctx, s, "beat", func(ctx context.Context, t *statements) ([]jobs.Task, error) {
		if _, err := t.exec(ctx, `UPDATE beats SET last = last + 1`); err != nil {
			return nil, err
		}
		_, err := t.exec(ctx, `
			INSERT INTO workers (id, name, beat) SELECT ?, ?, last FROM beats WHERE true
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, beat = excluded.beat`, id(w.ID), w.Name)
		if err != nil {
			return nil, err
		}
		var obsolete []jobs.Task
		for _, task := range running {
			served, err := isServed(ctx, t, task)
			if err != nil {
				return nil, err
			}
			if !served {
				obsolete = append(obsolete, task)
			}
		}
		return obsolete, nil
	})
}

// isServed reports whether somebody still waits for what the task's run brings.
func isServed(ctx context.Context, t *statements, task jobs.Task) (bool, error) {
	var one int
	return found(t.row(ctx, `SELECT 1 FROM queue WHERE id = ? AND fence <= ? AND NOT settling`,
		id(task.Execution), task.Fence).Scan(&one))
}

// Retire forgets a worker that stops in good order: see [jobs.RunStore].
func (s *Store) Retire(ctx context.Context, worker uuid.UUID) error {
	_, err := change(ctx, s, "retire a worker", func(ctx context.Context, t *statements) (struct{}, error) {
		if _, err := t.exec(ctx, `DELETE FROM workers WHERE id = ?`, id(worker)); err != nil {
			return struct{}{}, err
		}
		held, err := heldBy(ctx, t, worker)
		if err != nil {
			return struct{}{}, err
		}
		if err := closeHeld(ctx, t, worker); err != nil {
			return struct{}{}, err
		}
		for _, execution := range held {
			if err := takeBack(ctx, t, execution); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// closeHeld closes the open calls of the worker's runs as cancelled: nobody will
// hear of them.
func closeHeld(ctx context.Context, t *statements, worker uuid.UUID) error {
	_, err := t.exec(ctx, `
		UPDATE calls SET status = 'cancelled', error_class = 'cancelled'
		WHERE status IS NULL AND (execution_id, fence) IN (SELECT execution_id, fence FROM releases WHERE worker = ?)`,
		id(worker))
	return err
}

// heldBy lists the executions that the worker runs.
func heldBy(ctx context.Context, t *statements, worker uuid.UUID) ([]uuid.UUID, error) {
	return all(ctx, t, scanID, `SELECT execution_id FROM releases WHERE worker = ? ORDER BY execution_id`, id(worker))
}

// Workers lists the known workers: see [jobs.ControlStore].
func (s *Store) Workers(ctx context.Context) ([]jobs.Worker, error) {
	return read(ctx, s, "list workers", func(ctx context.Context, q *statements) ([]jobs.Worker, error) {
		return all(ctx, q, func(row scanner) (jobs.Worker, error) {
			var w jobs.Worker
			return w, row.Scan(&w.ID, &w.Name, &w.Beat)
		}, `SELECT id, name, beat FROM workers ORDER BY id`)
	})
}
