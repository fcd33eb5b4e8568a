package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

const replayColumns = `
	r.id, r.tenant, r.endpoint_id, r.since, r.until, r.statuses, r.types, r.status, r.total, r.queued, r.delivered, r.failed,
	r.created_at, r.finished_at`

// scanReplay reads a row of replayColumns, and what follows into more.
func scanReplay(row pgx.CollectableRow, more ...any) (r delivery.Replay, err error) {
	var until, finished *time.Time
	into := []any{
		&r.ID, &r.Tenant, &r.Endpoint, &r.Since, &until, &r.Statuses, &r.Types, &r.Status, &r.Total, &r.Queued, &r.Delivered,
		&r.Failed, &r.CreatedAt, &finished,
	}
	err = row.Scan(append(into, more...)...)
	r.Until, r.FinishedAt = orZero(until), orZero(finished)
	if len(r.Statuses) == 0 {
		r.Statuses = nil
	}
	if len(r.Types) == 0 {
		r.Types = nil
	}
	return r, err
}

// selectedQuery lists what a replay selects of what has finished, the oldest first, as d.
// Other deliveries than those that were delivered have an index of their own, in which
// there is a place for each status.
func selectedQuery(r delivery.Replay, after uuid.UUID, limit int) (sql string, args []any) {
	var c conditions
	c.add("d.endpoint_id = $", r.Endpoint)
	c.add("d.id > $", after)
	c.add("d.id >= $", floorID(r.Since))
	c.add("d.created_at >= $", r.Since)
	if !r.Until.IsZero() {
		c.add("d.id < $", floorID(r.Until.Add(time.Millisecond)))
		c.add("d.created_at < $", r.Until)
	}
	if len(r.Types) > 0 {
		c.add("d.type = ANY ($::text[])", r.Types)
	}
	statuses := column(r.Statuses, func(s delivery.Status) string { return string(s) })
	source := `SELECT d.id, d.job_id FROM deliveries d WHERE %s ORDER BY d.id LIMIT $%d`
	if len(statuses) > 0 {
		c.args = append(c.args, statuses)
		if slices.Contains(r.Statuses, delivery.StatusDelivered) {
			c.terms = append(c.terms, fmt.Sprintf("d.status = ANY ($%d::text[])", len(c.args)))
		} else {
			c.terms = append(c.terms, "d.status = s.status AND d.status <> 'delivered'")
			source = fmt.Sprintf(`
				SELECT d.id, d.job_id FROM unnest($%d::text[]) AS s (status)
				CROSS JOIN LATERAL (SELECT d.id, d.job_id FROM deliveries d WHERE %%[1]s ORDER BY d.id LIMIT $%%[2]d) d
				ORDER BY d.id LIMIT $%%[2]d`, len(c.args))
		}
	}
	c.args = append(c.args, limit)
	return fmt.Sprintf(source, strings.Join(c.terms, " AND "), len(c.args)), c.args
}

// countAtOnce is how many deliveries one statement counts.
const countAtOnce = 100_000

// countSelected counts what a replay selects.
func (s *Store) countSelected(ctx context.Context, r delivery.Replay) (total int64, err error) {
	for after := uuid.Nil; ; {
		sql, args := selectedQuery(r, after, countAtOnce)
		var n int64
		err := s.bounded(ctx, "count what a replay selects", func(ctx context.Context) error {
			row := s.pool.QueryRow(ctx, `
				SELECT count(*) OVER (), d.id FROM (`+sql+`) d ORDER BY d.id DESC LIMIT 1`, args...)
			if err := row.Scan(&n, &after); notFound(err) != jobs.ErrNotFound { //nolint:errorlint // as made there
				return err
			}
			return nil
		})
		if total += n; err != nil || n < countAtOnce {
			return total, err
		}
	}
}

// StartReplay keeps a replay: see [delivery.EndpointStore].
func (s *Store) StartReplay(ctx context.Context, r delivery.Replay) (delivery.Replay, error) {
	const insert = `
		INSERT INTO webhook_replays (id, tenant, endpoint_id, since, until, statuses, types, status, total, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8, $9)`
	total, err := s.countSelected(ctx, r)
	if err != nil {
		return delivery.Replay{}, err
	}
	r.Status, r.Total, r.Queued, r.Delivered, r.Failed, r.FinishedAt = delivery.ReplayRunning, total, 0, 0, 0, time.Time{}
	err = s.write(ctx, "keep a replay", func(ctx context.Context, t *txn) error {
		disabled, _, err := lockEndpoint(ctx, t, r.Tenant, r.Endpoint)
		if err != nil {
			return err
		}
		if disabled != "" {
			return delivery.ErrDisabled
		}
		t.exec(insert, r.ID, r.Tenant, r.Endpoint, r.Since, when(r.Until),
			column(r.Statuses, func(s delivery.Status) string { return string(s) }), append([]string{}, r.Types...), total, r.CreatedAt)
		return nil
	})
	return r, err
}

// ReplayByID returns a replay: see [delivery.EndpointStore].
func (s *Store) ReplayByID(ctx context.Context, tenant string, id uuid.UUID) (r delivery.Replay, err error) {
	err = s.bounded(ctx, "read a replay", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT `+replayColumns+` FROM webhook_replays r WHERE r.id = $1 AND r.tenant = $2`, id, tenant)
		if err != nil {
			return err
		}
		r, err = pgx.CollectExactlyOneRow(rows, func(row pgx.CollectableRow) (delivery.Replay, error) { return scanReplay(row) })
		return notFound(err)
	})
	return r, err
}

// Replays lists the replays of an endpoint: see [delivery.EndpointStore].
func (s *Store) Replays(ctx context.Context, tenant string, endpoint uuid.UUID) (list []delivery.Replay, err error) {
	const query = `
		SELECT ` + replayColumns + ` FROM webhook_replays r WHERE r.endpoint_id = $1 AND r.tenant = $2
		ORDER BY r.created_at DESC, r.id DESC LIMIT 100`
	err = s.bounded(ctx, "list replays", func(ctx context.Context) error {
		if err := s.endpointExists(ctx, tenant, endpoint); err != nil {
			return err
		}
		rows, err := s.pool.Query(ctx, query, endpoint, tenant)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (delivery.Replay, error) { return scanReplay(row) })
		return err
	})
	return list, err
}

// CancelReplay ends a replay early: see [delivery.EndpointStore]. First nothing more of it
// is made pending, then what is goes back: what a courier records at that moment, or a
// process that dies here leaves, is swept.
func (s *Store) CancelReplay(
	ctx context.Context, tenant string, id uuid.UUID, at time.Time,
) (delivery.Replay, error) {
	const cancel = `
		UPDATE webhook_replays SET status = 'cancelled', finished_at = $3
		WHERE id = $1 AND tenant = $2 AND status = 'running'`
	err := s.bounded(ctx, "cancel a replay", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, cancel, id, tenant, at)
		return err
	})
	if err != nil {
		return delivery.Replay{}, err
	}
	r, err := s.ReplayByID(ctx, tenant, id)
	if err != nil || r.Status != delivery.ReplayCancelled {
		return r, err
	}
	for n := giveBackAtOnce; n == giveBackAtOnce; {
		if n, err = s.giveBack(ctx, id, giveBackAtOnce); err != nil {
			return delivery.Replay{}, err
		}
	}
	return r, nil
}

// giveBackAtOnce is how many deliveries of a cancelled replay one transaction gives back.
const giveBackAtOnce = 1000

// giveBack makes pending deliveries of a cancelled replay what they were before it. One
// that was attempted has had its attempt. Nothing is left to do when none is left.
func (s *Store) giveBack(ctx context.Context, replay uuid.UUID, limit int) (n int, err error) {
	const query = `
		WITH back AS (
			DELETE FROM pending_deliveries WHERE ctid = ANY (ARRAY (
				SELECT ctid FROM pending_deliveries WHERE replay_id = $1 LIMIT $2 FOR UPDATE SKIP LOCKED))
			RETURNING *
		)
		INSERT INTO deliveries (id, tenant, endpoint_id, event_id, job_id, type, url, status, trigger, replay_id, attempts, step,
			thin, created_at, finished_at)
		SELECT id, tenant, endpoint_id, event_id, job_id, type, url, was_status, was_trigger, was_replay_id, attempts, was_step,
			thin, created_at, was_finished_at
		FROM back`
	const ended = `
		UPDATE webhook_replays SET open = false WHERE id = $1 AND open
			AND (SELECT true FROM pending_deliveries p WHERE p.replay_id = $1 LIMIT 1) IS NULL`
	err = s.write(ctx, "give back what a replay made pending", func(_ context.Context, t *txn) error {
		t.count(&n, query, replay, limit)
		t.exec(ended, replay)
		return nil
	})
	return n, err
}
