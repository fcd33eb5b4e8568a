package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// insertEvents tells of the job's end, and of that of a response if the job is one. The
// webhook that a job has itself is told of the first alone.
func insertEvents(ctx context.Context, t *statements, j jobs.Job) error {
	if err := insertEvent(ctx, t, j, jobs.EventType(j.Status)); err != nil || !j.Response {
		return err
	}
	var incomplete bool
	_, err := found(t.row(ctx, `
		SELECT r.incomplete FROM jobs j JOIN results r ON r.execution_id = coalesce(j.answer_of, j.execution_id)
		WHERE j.id = ?`, id(j.ID)).Scan(&incomplete))
	if err != nil {
		return err
	}
	j.Webhook = jobs.Webhook{}
	return insertEvent(ctx, t, j, jobs.ResponseEventType(j.Status, incomplete))
}

// insertEvent keeps an event of the job, and makes the deliveries of that unless the job
// is a batch's.
func insertEvent(ctx context.Context, t *statements, j jobs.Job, eventType string) error {
	event, err := delivery.NewEventID(j.FinishedAt)
	if err != nil {
		return err
	}
	f := fact{
		Event: delivery.Event{
			ID: event, Tenant: j.Tenant, Type: eventType, CreatedAt: j.FinishedAt, Trigger: delivery.TriggerEvent,
		},
		job: j.ID, metadata: j.Metadata, webhook: j.Webhook,
	}
	_, err = t.exec(ctx, `INSERT INTO events (id, job_id, tenant, type, created_at) VALUES (?, ?, ?, ?, ?)`,
		id(event), id(j.ID), f.Tenant, f.Type, micros(f.CreatedAt))
	if err != nil || j.Batch != uuid.Nil {
		return err
	}
	return insertDeliveries(ctx, t, f)
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
