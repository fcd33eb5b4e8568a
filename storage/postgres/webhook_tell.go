package postgres

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Tell keeps an event and makes its deliveries: see [delivery.EndpointStore].
func (s *Store) Tell(ctx context.Context, e delivery.Event) (made []delivery.Delivery, err error) {
	err = s.write(ctx, "tell an event", func(ctx context.Context, t *txn) (err error) {
		made, err = tellOne(ctx, t, e)
		return err
	})
	return made, err
}

// tellOne is one round trip, and queues the rest.
func tellOne(ctx context.Context, t *txn, e delivery.Event) ([]delivery.Delivery, error) {
	const insert = `
		INSERT INTO webhook_events (id, tenant, type, data, created_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (id) DO NOTHING RETURNING id`
	var kept []uuid.UUID
	var all []delivery.Delivery
	t.each(appendID(&kept), insert, e.ID, e.Tenant, e.Type, []byte(e.Data), e.CreatedAt)
	t.each(func(rows pgx.Rows) error {
		w, err := scanWatched(rows)
		if err == nil && isTold(w.Endpoint, e) {
			all = append(all, deliveryTo(w.Endpoint, e))
		}
		return err
	}, `
		SELECT `+endpointColumns+stateColumn+` FROM webhook_endpoints e
		CROSS JOIN LATERAL (SELECT s.state FROM webhook_states s WHERE s.endpoint_id = e.id OFFSET 0) s
		WHERE e.tenant = $1 AND (NOT e.per_job OR e.id = $2)`, e.Tenant, e.Only)
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	if e.Only != uuid.Nil && len(all) == 0 {
		return nil, jobs.ErrNotFound
	}
	slices.SortFunc(all, func(a, b delivery.Delivery) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	if len(kept) == 0 {
		return toldBefore(ctx, t, all)
	}
	insertTold(t, all)
	return all, nil
}

// toldBefore returns those of the deliveries that are there, as they are now.
func toldBefore(ctx context.Context, t *txn, all []delivery.Delivery) (told []delivery.Delivery, err error) {
	for _, d := range all {
		t.each(func(rows pgx.Rows) error {
			var disabled delivery.Reason
			d, err := scanDelivery(rows, &disabled)
			told = append(told, d)
			return err
		}, selectDelivery, d.Tenant, d.ID)
	}
	return told, t.flush(ctx)
}

// isTold reports whether an event of no job is for an endpoint of its tenant.
func isTold(to delivery.Endpoint, e delivery.Event) bool {
	if e.Only != uuid.Nil {
		return to.ID == e.Only
	}
	return to.ID != e.Except && to.Wants(e.Type, nil)
}

func deliveryTo(to delivery.Endpoint, e delivery.Event) delivery.Delivery {
	d := delivery.Delivery{
		ID: delivery.IDOf(e.ID, to.ID), Tenant: e.Tenant, Endpoint: to.ID, Event: e.ID, Type: e.Type,
		Status: delivery.StatusPending, Trigger: e.Trigger, CreatedAt: e.CreatedAt,
	}
	if to.Disabled != "" {
		d.Status, d.FinishedAt = delivery.StatusSkipped, e.CreatedAt
		return d
	}
	d.DueAt = e.CreatedAt.Add(append(to.Schedule, delivery.DefaultSchedule...)[0])
	return d
}

// insertTold queues new deliveries of events of no job.
func insertTold(t *txn, all []delivery.Delivery) {
	const pending = `
		INSERT INTO pending_deliveries (id, tenant, endpoint_id, event_id, type, url, trigger, bulk, attempts, step, thin,
			due_at, first_due_at, created_at)
		SELECT id, tenant, endpoint_id, event_id, type, '', trigger, false, 0, 0, false, due_at, due_at, created_at
		FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
			AS v (id, tenant, endpoint_id, event_id, type, trigger, due_at, created_at)`
	const skipped = `
		INSERT INTO deliveries (id, tenant, endpoint_id, event_id, type, url, status, trigger, attempts, step, thin,
			finished_at, created_at)
		SELECT id, tenant, endpoint_id, event_id, type, '', 'skipped', trigger, 0, 0, false, finished_at, created_at
		FROM unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
			AS v (id, tenant, endpoint_id, event_id, type, trigger, finished_at, created_at)`
	isPending := func(d delivery.Delivery) bool { return d.Status == delivery.StatusPending }
	insert := func(sql string, some []delivery.Delivery, at func(d delivery.Delivery) time.Time) {
		if len(some) == 0 {
			return
		}
		t.exec(sql,
			column(some, func(d delivery.Delivery) uuid.UUID { return d.ID }),
			column(some, func(d delivery.Delivery) string { return d.Tenant }),
			column(some, func(d delivery.Delivery) uuid.UUID { return d.Endpoint }),
			column(some, func(d delivery.Delivery) uuid.UUID { return d.Event }),
			column(some, func(d delivery.Delivery) string { return d.Type }),
			column(some, func(d delivery.Delivery) string { return string(d.Trigger) }),
			column(some, at),
			column(some, func(d delivery.Delivery) time.Time { return d.CreatedAt }))
	}
	insert(pending, slices.DeleteFunc(slices.Clone(all), func(d delivery.Delivery) bool { return !isPending(d) }),
		func(d delivery.Delivery) time.Time { return d.DueAt })
	insert(skipped, slices.DeleteFunc(slices.Clone(all), isPending),
		func(d delivery.Delivery) time.Time { return d.FinishedAt })
}
