package sqlite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// insertEvent tells of the job's end.
func insertEvent(ctx context.Context, t *statements, j jobs.Job) error {
	event, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make an event id: %w", err)
	}
	_, err = t.exec(ctx, `INSERT INTO events (id, job_id, tenant, type, created_at) VALUES (?, ?, ?, ?, ?)`,
		id(event), id(j.ID), j.Tenant, jobs.EventType(j.Status), micros(j.FinishedAt))
	return err
}

// Events lists the job's events: see [jobs.ReadStore].
func (s *Store) Events(ctx context.Context, tenant string, jobID uuid.UUID) ([]jobs.Event, error) {
	return read(ctx, s, "list events", func(ctx context.Context, q *statements) ([]jobs.Event, error) {
		if _, _, err := executionOf(ctx, q, tenant, jobID); err != nil {
			return nil, err
		}
		return all(ctx, q, scanEvent, `
			SELECT id, tenant, job_id, type, created_at FROM events WHERE job_id = ? AND tenant = ? ORDER BY id`,
			id(jobID), tenant)
	})
}

func scanEvent(row scanner) (jobs.Event, error) {
	var e jobs.Event
	var created int64
	err := row.Scan(&e.ID, &e.Tenant, &e.Job, &e.Type, &created)
	e.CreatedAt = when(created)
	return e, err
}
