package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// sweepAtOnce is how many rows one transaction of a sweep moves, and of how many
// endpoints, removals or replays it takes note.
const sweepAtOnce = 500

// Sweep does what is left to do: see [delivery.CourierStore]. Several may sweep at once:
// what one has locked, others leave to it.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (done int, err error) {
	type step func(ctx context.Context, now time.Time, limit int) (int, error)
	steps := []step{s.sweepPending, s.sweepRemovals, s.sweepSecrets, s.sweepReplays}
	return inTurn(steps, limit, func(sweep step, limit int) (int, error) { return sweep(ctx, now, limit) })
}

// inTurn lets each of some things do its part of a limit, and of what others have left of
// theirs.
func inTurn[T any](things []T, limit int, do func(thing T, limit int) (int, error)) (done int, err error) {
	for i, thing := range things {
		left := len(things) - i
		share := (limit - done + left - 1) / left
		if share <= 0 {
			return done, nil
		}
		n, err := do(thing, share)
		if done += n; err != nil {
			return done, err
		}
	}
	return done, nil
}

// sweepEach lets each thing do its part, a transaction for every so many.
func sweepEach[T any](things []T, limit int, do func(thing T, limit int) (int, error)) (int, error) {
	return inTurn(things, limit, func(thing T, share int) (done int, err error) {
		for done < share {
			most := min(share-done, sweepAtOnce)
			n, err := do(thing, most)
			if done += n; err != nil || n < most {
				return done, err
			}
		}
		return done, nil
	})
}

// idleQuery lists endpoints that something is pending for and that are not enabled, or
// not there.
const idleQuery = waiting + `
	SELECT w.id, e.id IS NULL FROM waiting w
	LEFT JOIN LATERAL (SELECT e.id, e.disabled FROM webhook_endpoints e WHERE e.id = w.id OFFSET 0) e ON true
	WHERE e.id IS NULL OR e.disabled <> ''
	LIMIT $2`

type idleEndpoint struct {
	id   uuid.UUID
	gone bool
}

// sweepPending skips what is pending of disabled endpoints, and deletes what is of those
// that are gone.
func (s *Store) sweepPending(ctx context.Context, now time.Time, limit int) (int, error) {
	const skip = `
		WITH skipped AS (
			DELETE FROM pending_deliveries WHERE ctid = ANY (ARRAY (
				SELECT p.ctid FROM pending_deliveries p WHERE p.endpoint_id = $1
					AND (SELECT e.disabled <> '' FROM webhook_endpoints e WHERE e.id = $1)
				ORDER BY p.endpoint_id, p.id LIMIT $2 FOR UPDATE SKIP LOCKED))
			RETURNING *
		)
		INSERT INTO deliveries (id, tenant, endpoint_id, event_id, job_id, type, url, status, trigger, replay_id, attempts, step,
			thin, created_at, finished_at)
		SELECT id, tenant, endpoint_id, event_id, job_id, type, url, 'skipped', trigger, replay_id, attempts, step, thin,
			created_at, $3
		FROM skipped`
	var idle []idleEndpoint
	err := s.bounded(ctx, "look for endpoints that get nothing", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, idleQuery, uuid.Nil, sweepAtOnce)
		if err != nil {
			return err
		}
		idle, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (e idleEndpoint, err error) {
			err = row.Scan(&e.id, &e.gone)
			return e, err
		})
		return err
	})
	if err != nil {
		return 0, err
	}
	return sweepEach(idle, limit, func(e idleEndpoint, most int) (int, error) {
		if e.gone {
			return s.removeSome(ctx, e.id, most)
		}
		return s.sweepSome(ctx, skip, e.id, most, now)
	})
}

// sweepSome runs a statement and returns how many rows it is about.
func (s *Store) sweepSome(ctx context.Context, sql string, args ...any) (n int, err error) {
	err = s.write(ctx, "sweep", func(_ context.Context, t *txn) error {
		t.count(&n, sql, args...)
		return nil
	})
	return n, err
}

// sweepSecrets deletes secrets that sign no more.
func (s *Store) sweepSecrets(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.sweepSome(ctx, `
		DELETE FROM webhook_secrets WHERE ctid = ANY (ARRAY (
			SELECT ctid FROM webhook_secrets WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))`, now, limit)
}

func (s *Store) idsBy(ctx context.Context, sql string, args ...any) (ids []uuid.UUID, err error) {
	err = s.bounded(ctx, "look for what is to be swept", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	return ids, err
}
