package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// redeliverTries is how often a delivery is looked for that others move from one table to
// the other meanwhile.
const redeliverTries = 3

// Redeliver makes a delivery due anew: see [delivery.EndpointStore].
func (s *Store) Redeliver(
	ctx context.Context, tenant string, id uuid.UUID, at time.Time,
) (d delivery.Delivery, err error) {
	for range redeliverTries {
		err = s.write(ctx, "redeliver", func(ctx context.Context, t *txn) (err error) {
			d, err = redeliver(ctx, t, tenant, id, at)
			return err
		})
		if err != nil || d.ID != uuid.Nil {
			return d, err
		}
	}
	return d, jobs.ErrNotFound
}

// redeliver returns none when the delivery was moved before it was had.
func redeliver(
	ctx context.Context, t *txn, tenant string, id uuid.UUID, at time.Time,
) (d delivery.Delivery, err error) {
	const again = `
		UPDATE pending_deliveries p SET trigger = 'redeliver', bulk = false, replay_id = NULL, step = 0,
			due_at = $3, first_due_at = $3, was_status = NULL, was_trigger = NULL, was_replay_id = NULL, was_step = NULL,
			was_finished_at = NULL
		WHERE p.endpoint_id = $1 AND p.id = $2
		RETURNING ` + pendingColumns
	const move = `
		WITH d AS (
			DELETE FROM deliveries WHERE id = $2 AND endpoint_id = $1 RETURNING *
		)
		INSERT INTO pending_deliveries AS p (id, tenant, endpoint_id, event_id, job_id, type, url, trigger, bulk, attempts,
			step, thin, due_at, first_due_at, created_at)
		SELECT id, tenant, endpoint_id, event_id, job_id, type, url, 'redeliver', false, attempts, 0, thin, $3, $3, created_at
		FROM d
		RETURNING ` + pendingColumns
	var found delivery.Delivery
	var disabled delivery.Reason
	readDelivery(t, tenant, id, &found, &disabled)
	if err := t.flush(ctx); err != nil {
		return d, err
	}
	switch {
	case found.ID == uuid.Nil:
		return d, jobs.ErrNotFound
	case disabled != "":
		return d, delivery.ErrDisabled
	}
	if err := lockJobOf(ctx, t, found); err != nil {
		return d, err
	}
	for _, query := range []string{again, move} {
		t.each(func(rows pgx.Rows) (err error) {
			d, err = scanDelivery(rows)
			return err
		}, query, found.Endpoint, id, at)
	}
	return d, t.flush(ctx)
}

// lockJobOf keeps the job of a delivery from being deleted, and the delivery with it.
func lockJobOf(ctx context.Context, t *txn, d delivery.Delivery) error {
	if d.Job == uuid.Nil {
		return nil
	}
	var there []uuid.UUID
	t.each(appendID(&there), `SELECT id FROM jobs WHERE id = $1 FOR KEY SHARE`, d.Job)
	if err := t.flush(ctx); err != nil {
		return err
	}
	if len(there) == 0 {
		return jobs.ErrNotFound
	}
	return nil
}
