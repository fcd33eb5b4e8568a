package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// selectDue reads what is due of an endpoint, of one kind: bulk or not.
const selectDue = selectDeliveryHead + `, b.body, v.data` + selectDeliveryTail + `
	LEFT JOIN delivery_bodies b ON b.delivery_id = d.id
	LEFT JOIN events v ON d.job_id IS NULL AND v.job_id = d.event_id AND v.id = d.event_id
	WHERE d.endpoint_id = ? AND d.bulk = ? AND d.due_at <= ? AND d.status = 'pending'
	ORDER BY d.due_at, d.id LIMIT +?`

// Due lists what is due of an endpoint: see [delivery.CourierStore].
func (s *Store) Due(ctx context.Context, endpoint uuid.UUID, now time.Time, limit int) ([]delivery.Due, error) {
	return read(ctx, s, "list what is due", func(ctx context.Context, q *statements) ([]delivery.Due, error) {
		enabled, err := exists(ctx, q, `SELECT 1 FROM webhook_endpoints WHERE id = ? AND disabled = ''`, id(endpoint))
		if err != nil || !enabled {
			return nil, err
		}
		due, err := all(ctx, q, scanDue, selectDue, id(endpoint), false, micros(now), limit)
		if err != nil || len(due) == limit {
			return due, err
		}
		bulk, err := all(ctx, q, scanDue, selectDue, id(endpoint), true, micros(now), limit-len(due))
		return append(due, bulk...), err
	})
}

func scanDue(row scanner) (d delivery.Due, err error) {
	var data []byte
	d.Delivery, err = scanDeliveryAnd(row, &d.Body, &data)
	if data != nil {
		d.Data = data
	}
	return d, err
}

// EndedJobs returns jobs that have ended: see [delivery.CourierStore].
func (s *Store) EndedJobs(ctx context.Context, ids []uuid.UUID, results bool) (map[uuid.UUID]jobs.Job, error) {
	text := selectListed
	if results {
		text = selectJob
	}
	return read(ctx, s, "read ended jobs", func(ctx context.Context, q *statements) (map[uuid.UUID]jobs.Job, error) {
		ended := make(map[uuid.UUID]jobs.Job, len(ids))
		for _, jobID := range ids {
			j, err := scanJob(q.row(ctx, text+` WHERE j.id = ? AND j.status <> 'queued'`, id(jobID)))
			if ok, err := found(err); err != nil {
				return nil, err
			} else if ok {
				ended[jobID] = j
			}
		}
		return ended, nil
	})
}

// KeepBodies keeps what is to be sent: see [delivery.CourierStore].
func (s *Store) KeepBodies(ctx context.Context, bodies []delivery.Body) (map[uuid.UUID][]byte, error) {
	return change(ctx, s, "keep bodies", func(ctx context.Context, t *statements) (map[uuid.UUID][]byte, error) {
		before := map[uuid.UUID][]byte{}
		for _, b := range bodies {
			kept, ok, err := keepBody(ctx, t, b)
			if err != nil {
				return nil, err
			}
			if ok {
				before[b.Delivery] = kept
			}
		}
		return before, nil
	})
}

// keepBody returns the body that the delivery had before, if it had one.
func keepBody(ctx context.Context, t *statements, b delivery.Body) (before []byte, ok bool, err error) {
	ok, err = found(t.row(ctx, `SELECT body FROM delivery_bodies WHERE delivery_id = ?`, id(b.Delivery)).Scan(&before))
	if err != nil || ok {
		return before, ok, err
	}
	_, err = t.exec(ctx, `
		INSERT INTO delivery_bodies (delivery_id, body, key_id)
		SELECT id, ?, ? FROM deliveries WHERE id = ? AND status = 'pending'`, b.Body, idOrNull(b.KeyID), id(b.Delivery))
	return nil, false, err
}
