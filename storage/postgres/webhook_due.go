package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// pendingColumns and finishedColumns tell a delivery p or d of one table or the other. A
// scan of either is scanDelivery.
const (
	pendingColumns = `
		p.id, p.tenant, p.endpoint_id, p.event_id, p.job_id, p.type, p.url, 'pending' AS status, p.trigger, p.replay_id,
		p.attempts, p.step, p.thin, p.due_at, p.created_at, NULL::timestamptz AS finished_at`
	finishedColumns = `
		d.id, d.tenant, d.endpoint_id, d.event_id, d.job_id, d.type, d.url, d.status, d.trigger, d.replay_id,
		d.attempts, d.step, d.thin, NULL::timestamptz AS due_at, d.created_at, d.finished_at`
)

// scanDelivery reads a row of such columns, and what follows into more.
func scanDelivery(row pgx.CollectableRow, more ...any) (d delivery.Delivery, err error) {
	var job, replay *uuid.UUID
	var due, finished *time.Time
	into := []any{
		&d.ID, &d.Tenant, &d.Endpoint, &d.Event, &job, &d.Type, &d.URL, &d.Status, &d.Trigger, &replay,
		&d.Attempts, &d.Step, &d.Thin, &due, &d.CreatedAt, &finished,
	}
	err = row.Scan(append(into, more...)...)
	d.Job, d.Replay, d.DueAt, d.FinishedAt = orZero(job), orZero(replay), orZero(due), orZero(finished)
	return d, err
}

// dueQuery reads as much of what is due as is wanted, and of bulk as much as is left.
const dueQuery = `
	SELECT ` + pendingColumns + `, b.body, ev.data
	FROM (
		SELECT due.* FROM webhook_endpoints e CROSS JOIN LATERAL (
			(SELECT * FROM pending_deliveries p WHERE p.queue = e.id AND NOT p.bulk AND p.due_at <= $2
				ORDER BY p.due_at, p.id LIMIT $3)
			UNION ALL
			(SELECT * FROM pending_deliveries p WHERE p.queue = e.id AND p.bulk AND p.due_at <= $2
				ORDER BY p.due_at, p.id LIMIT $3)
			LIMIT $3
		) due
		WHERE e.id = $1 AND e.disabled = ''
	) p
	LEFT JOIN LATERAL (SELECT b.body FROM delivery_bodies b WHERE b.delivery_id = p.id OFFSET 0) b ON true
	LEFT JOIN LATERAL (
		SELECT ev.data FROM webhook_events ev WHERE ev.id = CASE WHEN p.job_id IS NULL THEN p.event_id END OFFSET 0
	) ev ON true
	ORDER BY p.bulk, p.due_at, p.id`

// Due lists what is due of an endpoint: see [delivery.CourierStore].
func (s *Store) Due(ctx context.Context, endpoint uuid.UUID, now time.Time, limit int) (due []delivery.Due, err error) {
	err = s.bounded(ctx, "list what is due", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, dueQuery, endpoint, now, limit)
		if err != nil {
			return err
		}
		due, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d delivery.Due, err error) {
			var data []byte
			d.Delivery, err = scanDelivery(row, &d.Body, &data)
			d.Data = json.RawMessage(data)
			return d, err
		})
		return err
	})
	return due, err
}

const (
	endedJobs = `SELECT ` + jobColumns + ` FROM unnest($2::uuid[]) AS k (id)
		CROSS JOIN LATERAL (SELECT * FROM jobs j WHERE j.id = k.id AND j.status <> 'queued' OFFSET 0) j` + jobTables
	endedJobsWithResults = `SELECT ` + jobColumns + `, res.body FROM unnest($2::uuid[]) AS k (id)
		CROSS JOIN LATERAL (SELECT * FROM jobs j WHERE j.id = k.id AND j.status <> 'queued' OFFSET 0) j` + jobTables + resultTable
)

// EndedJobs returns jobs that have ended: see [delivery.CourierStore].
func (s *Store) EndedJobs(
	ctx context.Context, ids []uuid.UUID, results bool,
) (found map[uuid.UUID]jobs.Job, err error) {
	query := endedJobs
	if results {
		query = endedJobsWithResults
	}
	err = s.bounded(ctx, "read jobs that have ended", func(ctx context.Context) error {
		found = make(map[uuid.UUID]jobs.Job, len(ids))
		rows, err := s.pool.Query(ctx, query, time.Now(), ids)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			j, err := scanJob(rows, results)
			if err != nil {
				return err
			}
			found[j.ID] = j
		}
		return rows.Err()
	})
	return found, err
}

// KeepBodies keeps what deliveries send: see [delivery.CourierStore]. A delivery is locked
// meanwhile, so that what is deleted with its job leaves no body behind.
func (s *Store) KeepBodies(ctx context.Context, bodies []delivery.Body) (before map[uuid.UUID][]byte, err error) {
	const insert = `
		INSERT INTO delivery_bodies (delivery_id, tenant, body, key_id)
		SELECT v.id, v.tenant, v.body, v.key_id
		FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[], $5::uuid[]) AS v (endpoint_id, id, tenant, body, key_id)
		CROSS JOIN LATERAL (
			SELECT FROM pending_deliveries p WHERE p.endpoint_id = v.endpoint_id AND p.id = v.id OFFSET 0
		) p
		ON CONFLICT (delivery_id) DO NOTHING`
	const read = `
		SELECT b.delivery_id, b.body FROM delivery_bodies b
		WHERE b.delivery_id = ANY ($1::uuid[]) AND b.xmin <> pg_current_xact_id()::xid -- not one just kept`
	bodies = sorted(bodies, func(b delivery.Body) [2]uuid.UUID { return [2]uuid.UUID{b.Endpoint, b.Delivery} })
	ids := column(bodies, func(b delivery.Body) uuid.UUID { return b.Delivery })
	endpoints := column(bodies, func(b delivery.Body) uuid.UUID { return b.Endpoint })
	err = s.write(ctx, "keep bodies", func(_ context.Context, t *txn) error {
		before = map[uuid.UUID][]byte{}
		t.exec(lockPending("KEY SHARE"), endpoints, ids)
		t.exec(insert, endpoints, ids,
			column(bodies, func(b delivery.Body) string { return b.Tenant }),
			column(bodies, func(b delivery.Body) []byte { return b.Body }),
			column(bodies, func(b delivery.Body) *uuid.UUID { return orNull(b.KeyID) }))
		t.each(func(rows pgx.Rows) error {
			var id uuid.UUID
			var body []byte
			err := rows.Scan(&id, &body)
			before[id] = body
			return err
		}, read, ids)
		return nil
	})
	return before, err
}

// lockPending is the locking of pending deliveries, in the order they are given: that of
// [sorted].
func lockPending(strength string) string {
	return `
		SELECT FROM unnest($1::uuid[], $2::uuid[]) AS k (endpoint_id, id)
		CROSS JOIN LATERAL (
			SELECT FROM pending_deliveries p WHERE p.endpoint_id = k.endpoint_id AND p.id = k.id FOR ` + strength + `
		) p`
}

// sorted returns items in the order in which deliveries are locked: by endpoint, then by
// id. Those of one delivery stay in order.
func sorted[T any](items []T, key func(item T) [2]uuid.UUID) []T {
	return slices.SortedStableFunc(slices.Values(items), func(a, b T) int {
		x, y := key(a), key(b)
		return cmp.Or(bytes.Compare(x[0][:], y[0][:]), bytes.Compare(x[1][:], y[1][:]))
	})
}
