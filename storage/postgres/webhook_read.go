package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// Deliveries lists some of a tenant's deliveries: see [delivery.EndpointStore].
func (s *Store) Deliveries(ctx context.Context, q delivery.Query) (list []delivery.Delivery, err error) {
	sql, args := deliveriesQuery(q)
	err = s.write(ctx, "list deliveries", func(ctx context.Context, t *txn) error {
		select {
		case s.lists <- struct{}{}:
			defer func() { <-s.lists }()
		case <-ctx.Done():
			return ctx.Err()
		}
		list = nil
		t.exec(listOrdered)
		t.each(func(rows pgx.Rows) error {
			d, err := scanDelivery(rows)
			list = append(list, d)
			return err
		}, sql, args...)
		return t.flush(ctx)
	})
	if err != nil || len(list) > 0 {
		return list, err
	}
	return nil, s.bounded(ctx, "look what deliveries are listed of", func(ctx context.Context) error {
		return s.checkListed(ctx, q)
	})
}

// listOrdered has a list read in the order of an index, however few rows there were when it
// was planned: to sort a few is as cheap.
const listOrdered = `SET LOCAL enable_bitmapscan = off`

// checkListed fails with [jobs.ErrNotFound] unless the tenant has what deliveries are
// listed of.
func (s *Store) checkListed(ctx context.Context, q delivery.Query) error {
	if q.Endpoint != uuid.Nil {
		if err := s.endpointExists(ctx, q.Tenant, q.Endpoint); err != nil {
			return err
		}
	}
	if q.Job != uuid.Nil {
		return s.jobExists(ctx, q.Tenant, q.Job)
	}
	return nil
}

func (s *Store) endpointExists(ctx context.Context, tenant string, id uuid.UUID) error {
	var one int
	return notFound(s.pool.QueryRow(ctx, `SELECT 1 FROM webhook_endpoints WHERE id = $1 AND tenant = $2`, id, tenant).Scan(&one))
}

// isThere says that the delivery's endpoint is.
const isThere = `
	(SELECT true FROM webhook_endpoints e WHERE e.id = x.endpoint_id AND e.tenant = x.tenant)`

// deliveriesQuery reads as many as are wanted from each table that may hold some. It has a
// term for each field that is set, as listQuery has.
func deliveriesQuery(q delivery.Query) (sql string, args []any) {
	var c conditions
	c.add("x.tenant = $", q.Tenant)
	if q.Endpoint != uuid.Nil {
		c.add("x.endpoint_id = $", q.Endpoint)
	}
	if q.Job != uuid.Nil {
		c.add("x.job_id = $", q.Job)
		c.add("x.id >= $", oldestDelivery([]uuid.UUID{q.Job}))
	}
	if q.Type != "" {
		c.add("x.type = $", q.Type)
	}
	if q.Before != uuid.Nil {
		c.add("x.id < $", q.Before)
	}
	finished := c
	switch q.Status {
	case "", delivery.StatusPending:
	case delivery.StatusDelivered:
		finished.add("x.status = $", string(q.Status))
	default:
		finished.add("x.status = $ AND x.status <> 'delivered'", string(q.Status)) // as an index has it
	}
	args = append(finished.args, q.Limit)
	part := func(columns, table, alias string, c conditions) string {
		return fmt.Sprintf("(SELECT %s FROM %s x WHERE %s AND %s ORDER BY x.id DESC LIMIT $%d)",
			strings.ReplaceAll(columns, alias+".", "x."), table, strings.Join(c.terms, " AND "), isThere, len(args))
	}
	pending := part(pendingColumns, "pending_deliveries", "p", c)
	done := part(finishedColumns, "deliveries", "d", finished)
	switch q.Status {
	case delivery.StatusPending:
		sql = pending
	case "":
		sql = pending + " UNION ALL " + done
	default:
		sql = done
	}
	return fmt.Sprintf("SELECT * FROM (%s) x ORDER BY id DESC LIMIT $%d", sql, len(args)), args
}

// selectDelivery looks for one delivery among those of each of the tenant's endpoints,
// and says why that is disabled.
const selectDelivery = `
	SELECT ` + pendingColumns + `, e.disabled FROM webhook_endpoints e
	CROSS JOIN LATERAL (SELECT * FROM pending_deliveries p WHERE p.endpoint_id = e.id AND p.id = $2 OFFSET 0) p
	WHERE e.tenant = $1
	UNION ALL
	SELECT ` + finishedColumns + `, e.disabled FROM webhook_endpoints e
	CROSS JOIN LATERAL (SELECT * FROM deliveries d WHERE d.endpoint_id = e.id AND d.id = $2 OFFSET 0) d
	WHERE e.tenant = $1`

// readDelivery queues the reading of a delivery; its id stays nil if it is not there.
func readDelivery(t *txn, tenant string, id uuid.UUID, d *delivery.Delivery, disabled *delivery.Reason) {
	t.each(func(rows pgx.Rows) (err error) {
		*d, err = scanDelivery(rows, disabled)
		return err
	}, selectDelivery, tenant, id)
}

// Delivery returns a delivery with its attempts: see [delivery.EndpointStore].
func (s *Store) Delivery(
	ctx context.Context, tenant string, id uuid.UUID,
) (d delivery.Delivery, attempts []delivery.Record, err error) {
	const query = `
		SELECT delivery_id, n, tenant, endpoint_id, trigger, at, verdict, failure, http_status, retry_after_us,
			latency_us, remote_addr, answer, key_id, status, step, due_at, thin
		FROM delivery_attempts WHERE delivery_id = $1 AND tenant = $2 ORDER BY n`
	err = s.write(ctx, "read a delivery", func(ctx context.Context, t *txn) error {
		d, attempts = delivery.Delivery{}, nil
		var disabled delivery.Reason
		readDelivery(t, tenant, id, &d, &disabled)
		t.each(func(rows pgx.Rows) error {
			r, err := scanAttempt(rows)
			attempts = append(attempts, r)
			return err
		}, query, id, tenant)
		if err := t.flush(ctx); err != nil {
			return err
		}
		if d.ID == uuid.Nil {
			return jobs.ErrNotFound
		}
		return nil
	})
	if err != nil {
		return delivery.Delivery{}, nil, err
	}
	return d, attempts, nil
}

func scanAttempt(rows pgx.Rows) (r delivery.Record, err error) {
	var retryAfter, latency int64
	var key *uuid.UUID
	var due *time.Time
	err = rows.Scan(&r.Delivery, &r.N, &r.Tenant, &r.Endpoint, &r.Trigger, &r.At, &r.Verdict, &r.Failure, &r.Attempt.Status,
		&retryAfter, &latency, &r.RemoteAddr, &r.Answer, &key, &r.Status, &r.Step, &due, &r.Thin)
	r.RetryAfter, r.Latency = microseconds(retryAfter), microseconds(latency)
	r.KeyID, r.DueAt = orZero(key), orZero(due)
	return r, err
}
