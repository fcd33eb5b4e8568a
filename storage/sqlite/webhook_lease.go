package sqlite

import (
	"cmp"
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// stepping steps in their index from one endpoint with something pending to the next.
const stepping = `
	WITH RECURSIVE step(endpoint) AS (
		SELECT min(endpoint_id) FROM deliveries WHERE status = 'pending'
		UNION ALL
		SELECT (SELECT min(endpoint_id) FROM deliveries WHERE status = 'pending' AND endpoint_id > step.endpoint)
		FROM step WHERE endpoint IS NOT NULL
	)`

// dueEndpoints lists enabled endpoints that nobody holds and that need not be left alone,
// by when the first of their deliveries is due that is due after a time.
const (
	dueEndpoints = stepping + `, first AS MATERIALIZED (
			SELECT e.id, min(coalesce(` + firstDue + `0` + byDue + `, ?2 + 1), coalesce(` + firstDue + `1` + byDue + `, ?2 + 1)) AS due
			FROM step CROSS JOIN webhook_endpoints e ON e.id = step.endpoint
			CROSS JOIN webhook_states s ON s.endpoint_id = e.id
			WHERE e.disabled = '' AND s.held_until <= ?3 AND s.resume_at <= ?4
		)
		SELECT id, due FROM first WHERE due <= ?2 ORDER BY due LIMIT +?5`

	firstDue = `(SELECT d.due_at FROM deliveries d
		WHERE d.endpoint_id = step.endpoint AND d.status = 'pending' AND d.due_at > ?1 AND d.bulk = `
	byDue = ` ORDER BY d.due_at LIMIT 1)`
)

// dueEndpoint is an endpoint and when the first of its deliveries is due.
type dueEndpoint struct {
	id  uuid.UUID
	due int64
}

// dueBetween lists endpoints that may be leased and have something due after the one time and by
// the other, which are in microseconds, the longest due first.
func dueBetween(
	ctx context.Context, q *statements, after, by int64, now time.Time, limit int,
) ([]dueEndpoint, error) {
	return all(ctx, q, func(row scanner) (d dueEndpoint, err error) { return d, row.Scan(&d.id, &d.due) },
		dueEndpoints, after, by, micros(time.Now()), micros(now), limit)
}

// LeaseEndpoints gives out endpoints that have something due, the longest due first, by
// Go's clock: see [delivery.CourierStore]. Most looks find none: those do not wait for the
// one writer.
func (s *Store) LeaseEndpoints(
	ctx context.Context, holder uuid.UUID, now time.Time, limit int,
) ([]delivery.Leased, error) {
	due, err := read(ctx, s, "look for what is due", func(ctx context.Context, q *statements) ([]dueEndpoint, error) {
		return dueBetween(ctx, q, 0, micros(now), now, limit)
	})
	if err != nil || len(due) == 0 {
		return nil, err
	}
	return change(ctx, s, "lease endpoints", func(ctx context.Context, t *statements) ([]delivery.Leased, error) {
		var leased []delivery.Leased
		for _, d := range due {
			free, err := isFree(ctx, t, d.id, now)
			if err != nil {
				return nil, err
			}
			if !free {
				continue
			}
			l, err := lease(ctx, t, holder, d.id, now)
			if err != nil {
				return nil, err
			}
			leased = append(leased, l)
		}
		return leased, nil
	})
}

// isFree reports whether an endpoint may be leased still.
func isFree(ctx context.Context, t *statements, endpoint uuid.UUID, now time.Time) (bool, error) {
	return exists(ctx, t, `
		SELECT 1 FROM webhook_endpoints e CROSS JOIN webhook_states s ON s.endpoint_id = e.id`+joinDue+`
		WHERE e.id = ? AND e.disabled = '' AND s.held_until <= ? AND s.resume_at <= ? AND d.due_at <= ? LIMIT 1`,
		id(endpoint), micros(time.Now()), micros(now), micros(now))
}

// joinDue joins what is pending of endpoint e, of either kind, as d.
const joinDue = ` CROSS JOIN deliveries d ON d.endpoint_id = e.id AND d.status = 'pending' AND d.bulk IN (0, 1)`

// lease makes holder hold an endpoint that is there, for no less than it is held.
func lease(
	ctx context.Context, t *statements, holder, endpoint uuid.UUID, now time.Time,
) (delivery.Leased, error) {
	var l delivery.Leased
	var err error
	if l.Watched, err = scanEndpoint(t.row(ctx, selectEndpoint+` WHERE e.id = ?`, id(endpoint))); err != nil {
		return delivery.Leased{}, err
	}
	until := time.Now().Add(cmp.Or(l.Timeout, delivery.DefaultTimeout) + delivery.LeaseMargin)
	_, err = t.exec(ctx, `UPDATE webhook_states SET holder = ?, held_until = max(held_until, ?) WHERE endpoint_id = ?`,
		id(holder), micros(until), id(endpoint))
	if err != nil {
		return delivery.Leased{}, err
	}
	l.Secrets, err = secretsOf(ctx, t, l.Endpoint, now)
	return l, err
}

// holds reports whether holder has the endpoint's lease, and the endpoint is enabled.
func holds(ctx context.Context, q *statements, holder, endpoint uuid.UUID) (bool, error) {
	return exists(ctx, q, `
		SELECT 1 FROM webhook_states s CROSS JOIN webhook_endpoints e ON e.id = s.endpoint_id
		WHERE s.endpoint_id = ? AND s.holder = ? AND s.held_until > ? AND e.disabled = ''`,
		id(endpoint), id(holder), micros(time.Now()))
}

// RenewEndpoints prolongs leases: see [delivery.CourierStore].
func (s *Store) RenewEndpoints(
	ctx context.Context, holder uuid.UUID, ids []uuid.UUID, now time.Time,
) ([]delivery.Leased, error) {
	return change(ctx, s, "renew endpoints", func(ctx context.Context, t *statements) ([]delivery.Leased, error) {
		var renewed []delivery.Leased
		for _, endpoint := range ids {
			held, err := holds(ctx, t, holder, endpoint)
			if err != nil {
				return nil, err
			}
			if !held {
				continue
			}
			l, err := lease(ctx, t, holder, endpoint, now)
			if err != nil {
				return nil, err
			}
			renewed = append(renewed, l)
		}
		return renewed, nil
	})
}

// ReleaseEndpoints gives leases up: see [delivery.CourierStore].
func (s *Store) ReleaseEndpoints(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) error {
	_, err := change(ctx, s, "release endpoints", func(ctx context.Context, t *statements) (struct{}, error) {
		for _, endpoint := range ids {
			_, err := t.exec(ctx, `
				UPDATE webhook_states SET holder = NULL, held_until = 0 WHERE endpoint_id = ? AND holder = ?`,
				id(endpoint), id(holder))
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// NextDue returns when an endpoint has something due next: see [delivery.CourierStore].
func (s *Store) NextDue(ctx context.Context, now time.Time) (time.Time, error) {
	next, err := read(ctx, s, "look for what is due next", func(ctx context.Context, q *statements) ([]dueEndpoint, error) {
		return dueBetween(ctx, q, micros(now), never-1, now, 1)
	})
	if err != nil || len(next) == 0 {
		return time.Time{}, err
	}
	return when(next[0].due), nil
}

// DueAmong returns those that have something due: see [delivery.CourierStore].
func (s *Store) DueAmong(ctx context.Context, endpoints []uuid.UUID, now time.Time) ([]uuid.UUID, error) {
	return read(ctx, s, "look who has something due", func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
		var due []uuid.UUID
		for _, endpoint := range endpoints {
			ok, err := exists(ctx, q, `
				SELECT 1 FROM webhook_endpoints e`+joinDue+` WHERE e.id = ? AND e.disabled = '' AND d.due_at <= ? LIMIT 1`,
				id(endpoint), micros(now))
			if err != nil {
				return nil, err
			}
			if ok {
				due = append(due, endpoint)
			}
		}
		return due, nil
	})
}
