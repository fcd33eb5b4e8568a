package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// waiting are the endpoints that something is pending for, each found by one look into
// the index, however much it is: from the id $1 on and then from the first, so that those
// who take some do not always take the same.
const waiting = `
	WITH RECURSIVE waiting (id, wrapped) AS (
		SELECT $1::uuid, false
		UNION ALL
		SELECT next.id, next.wrapped FROM waiting w CROSS JOIN LATERAL (
			(SELECT p.queue AS id, w.wrapped FROM pending_deliveries p WHERE p.queue > w.id ORDER BY p.queue LIMIT 1)
			UNION ALL
			(SELECT p.queue, true FROM pending_deliveries p WHERE NOT w.wrapped ORDER BY p.queue LIMIT 1)
			LIMIT 1
		) next
		WHERE NOT next.wrapped OR next.id <= $1
	)`

// anyDue says whether something of the endpoint w is due at $2.
const anyDue = `coalesce(
		(SELECT true FROM pending_deliveries p WHERE p.queue = w.id AND NOT p.bulk AND p.due_at <= $2 LIMIT 1),
		(SELECT true FROM pending_deliveries p WHERE p.queue = w.id AND p.bulk AND p.due_at <= $2 LIMIT 1),
		false)`

// leaseUntil is until when the endpoint e is held.
var leaseUntil = fmt.Sprintf(`
	clock_timestamp() + (coalesce(nullif(e.timeout_us, 0), %d) + %d) * interval '1 microsecond'`,
	delivery.DefaultTimeout.Microseconds(), delivery.LeaseMargin.Microseconds())

// leaseQuery takes what is free. One that another takes at the same time is left to it.
var leaseQuery = waiting + `, free AS (
		SELECT w.id FROM waiting w
		CROSS JOIN LATERAL (
			SELECT FROM webhook_states s
			WHERE s.endpoint_id = w.id AND s.held_until <= clock_timestamp() AND s.resume_at <= $2 OFFSET 0
		) s
		CROSS JOIN LATERAL (SELECT FROM webhook_endpoints e WHERE e.id = w.id AND e.disabled = '' OFFSET 0) e
		WHERE ` + anyDue + `
		LIMIT $3
	), mine AS MATERIALIZED (
		SELECT s.endpoint_id FROM webhook_states s
		WHERE s.endpoint_id = ANY (ARRAY (SELECT id FROM free)) AND s.held_until <= clock_timestamp()
		FOR UPDATE SKIP LOCKED
	)
	UPDATE webhook_states s SET holder = $4, held_until = ` + leaseUntil + `
	FROM webhook_endpoints e
	WHERE s.endpoint_id = e.id AND e.id = ANY (ARRAY (SELECT endpoint_id FROM mine))
		AND s.endpoint_id = ANY (ARRAY (SELECT endpoint_id FROM mine))
	RETURNING ` + endpointColumns + stateColumn

// LeaseEndpoints takes endpoints that have something due: see [delivery.CourierStore].
func (s *Store) LeaseEndpoints(
	ctx context.Context, holder uuid.UUID, now time.Time, limit int,
) (leased []delivery.Leased, err error) {
	from := uuid.New()
	err = s.write(ctx, "lease endpoints", func(ctx context.Context, t *txn) (err error) {
		leased, err = readLeased(ctx, t, now, leaseQuery, from, now, limit, holder)
		return err
	})
	return leased, err
}

// renewQuery locks in the order of ids, which others may do as well.
var renewQuery = `
	WITH mine AS MATERIALIZED (
		SELECT s.endpoint_id FROM webhook_states s
		WHERE s.endpoint_id = ANY ($1::uuid[]) AND s.holder = $2 AND s.held_until > clock_timestamp()
		ORDER BY s.endpoint_id FOR UPDATE
	)
	UPDATE webhook_states s SET held_until = greatest(s.held_until, ` + leaseUntil + `)
	FROM webhook_endpoints e
	WHERE s.endpoint_id = e.id AND e.disabled = '' AND e.id = ANY (ARRAY (SELECT endpoint_id FROM mine))
		AND s.endpoint_id = ANY (ARRAY (SELECT endpoint_id FROM mine))
	RETURNING ` + endpointColumns + stateColumn

// RenewEndpoints holds endpoints on: see [delivery.CourierStore].
func (s *Store) RenewEndpoints(
	ctx context.Context, holder uuid.UUID, ids []uuid.UUID, now time.Time,
) (leased []delivery.Leased, err error) {
	err = s.write(ctx, "renew leases of endpoints", func(ctx context.Context, t *txn) (err error) {
		leased, err = readLeased(ctx, t, now, renewQuery, ids, holder)
		return err
	})
	return leased, err
}

// readLeased runs a query of endpoints and adds the secrets that sign.
func readLeased(ctx context.Context, t *txn, now time.Time, query string, args ...any) ([]delivery.Leased, error) {
	var leased []delivery.Leased
	t.each(func(rows pgx.Rows) error {
		w, err := scanWatched(rows)
		leased = append(leased, delivery.Leased{Watched: w})
		return err
	}, query, args...)
	if err := t.flush(ctx); err != nil || len(leased) == 0 {
		return nil, err
	}
	secrets, err := signers(ctx, t, column(leased, signingOwner), now)
	for i, l := range leased {
		leased[i].Secrets = secrets[signingOwner(l)]
		for _, secret := range leased[i].Secrets[:min(1, len(leased[i].Secrets))] {
			leased[i].PublicKey = secret.PublicKey
		}
	}
	return leased, err
}

// signingOwner is whose secrets sign what goes to an endpoint.
func signingOwner(l delivery.Leased) uuid.UUID {
	if l.PerJob {
		return delivery.TenantOwner(l.Tenant)
	}
	return l.ID
}

// ReleaseEndpoints gives leases up: see [delivery.CourierStore].
func (s *Store) ReleaseEndpoints(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) error {
	const release = `
		WITH mine AS MATERIALIZED (
			SELECT s.endpoint_id FROM webhook_states s WHERE s.endpoint_id = ANY ($1::uuid[]) AND s.holder = $2
			ORDER BY s.endpoint_id FOR UPDATE
		)
		UPDATE webhook_states s SET holder = NULL, held_until = '-infinity'
		WHERE s.endpoint_id = ANY (ARRAY (SELECT endpoint_id FROM mine))`
	return s.bounded(ctx, "release endpoints", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, release, ids, holder)
		return err
	})
}

// nextDueQuery looks at the first that is due of each endpoint.
const nextDueQuery = waiting + `
	SELECT min(p.due_at) FROM waiting w
	CROSS JOIN LATERAL (
		SELECT FROM webhook_states s
		WHERE s.endpoint_id = w.id AND s.held_until <= clock_timestamp() AND s.resume_at <= $2 OFFSET 0
	) s
	CROSS JOIN LATERAL (SELECT FROM webhook_endpoints e WHERE e.id = w.id AND e.disabled = '' OFFSET 0) e
	CROSS JOIN LATERAL (
		(SELECT p.due_at FROM pending_deliveries p WHERE p.queue = w.id AND NOT p.bulk AND p.due_at > $2
			ORDER BY p.due_at LIMIT 1)
		UNION ALL
		(SELECT p.due_at FROM pending_deliveries p WHERE p.queue = w.id AND p.bulk AND p.due_at > $2
			ORDER BY p.due_at LIMIT 1)
	) p`

// NextDue returns when something is due next: see [delivery.CourierStore].
func (s *Store) NextDue(ctx context.Context, now time.Time) (time.Time, error) {
	var next *time.Time
	err := s.bounded(ctx, "see what is due next", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, nextDueQuery, uuid.Nil, now).Scan(&next)
	})
	return orZero(next), err
}

const dueAmongQuery = `
	SELECT w.id FROM unnest($1::uuid[]) AS w (id)
	CROSS JOIN LATERAL (SELECT FROM webhook_endpoints e WHERE e.id = w.id AND e.disabled = '' OFFSET 0) e
	WHERE ` + anyDue

// DueAmong returns which endpoints have something due: see [delivery.CourierStore].
func (s *Store) DueAmong(
	ctx context.Context, endpoints []uuid.UUID, now time.Time,
) (due []uuid.UUID, err error) {
	err = s.bounded(ctx, "see which endpoints have something due", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, dueAmongQuery, endpoints, now)
		if err != nil {
			return err
		}
		due, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	return due, err
}
