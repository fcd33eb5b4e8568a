package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/webhooks/delivery"
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
	const remove = `
		WITH gone AS (
			DELETE FROM pending_deliveries WHERE ctid = ANY (ARRAY (
				SELECT p.ctid FROM pending_deliveries p WHERE p.endpoint_id = $1
					AND (SELECT true FROM webhook_endpoints e WHERE e.id = $1) IS NULL
				ORDER BY p.endpoint_id, p.id LIMIT $2 FOR UPDATE SKIP LOCKED))
			RETURNING id
		), ` + withoutDelivery
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
			return s.sweepSome(ctx, remove, e.id, most)
		}
		return s.sweepSome(ctx, skip, e.id, most, now)
	})
}

// withoutDelivery deletes what the deliveries gone had.
const withoutDelivery = `bodies AS (
		DELETE FROM delivery_bodies WHERE delivery_id = ANY (ARRAY (SELECT id FROM gone))
	), attempts AS (
		DELETE FROM delivery_attempts WHERE delivery_id = ANY (ARRAY (SELECT id FROM gone))
	)
	SELECT FROM gone`

// sweepSome runs a statement and returns how many rows it is about.
func (s *Store) sweepSome(ctx context.Context, sql string, args ...any) (n int, err error) {
	err = s.write(ctx, "sweep", func(_ context.Context, t *txn) error {
		t.count(&n, sql, args...)
		return nil
	})
	return n, err
}

// sweepRemovals deletes what went to endpoints that are gone. One that was made again
// keeps what is left.
func (s *Store) sweepRemovals(ctx context.Context, _ time.Time, limit int) (int, error) {
	const remove = `
		WITH gone AS (
			DELETE FROM deliveries WHERE endpoint_id = $1 AND id = ANY (ARRAY (
				SELECT d.id FROM deliveries d WHERE d.endpoint_id = $1
					AND (SELECT true FROM webhook_endpoints e WHERE e.id = $1) IS NULL
				ORDER BY d.id LIMIT $2 FOR UPDATE SKIP LOCKED))
			RETURNING id
		), ` + withoutDelivery
	removed, err := s.idsBy(ctx, `SELECT endpoint_id FROM webhook_removals ORDER BY endpoint_id LIMIT $1`, sweepAtOnce)
	if err != nil {
		return 0, err
	}
	return sweepEach(removed, limit, func(endpoint uuid.UUID, most int) (int, error) {
		n, err := s.sweepSome(ctx, remove, endpoint, most)
		if err == nil && n < most {
			_, err = s.sweepSome(ctx, `DELETE FROM webhook_removals WHERE endpoint_id = $1`, endpoint)
		}
		return n, err
	})
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

// sweepReplays lets replays of enabled endpoints go on, and gives back what cancelled
// ones have left.
func (s *Store) sweepReplays(ctx context.Context, now time.Time, limit int) (int, error) {
	const open = `
		SELECT r.id FROM webhook_replays r
		WHERE r.open AND (r.status = 'cancelled'
			OR (SELECT e.disabled = '' FROM webhook_endpoints e WHERE e.id = r.endpoint_id))
		ORDER BY r.id LIMIT $1`
	replays, err := s.idsBy(ctx, open, sweepAtOnce)
	if err != nil {
		return 0, err
	}
	return sweepEach(replays, limit, func(replay uuid.UUID, most int) (n int, err error) {
		var cancelled bool
		err = s.write(ctx, "go on with a replay", func(ctx context.Context, t *txn) (err error) {
			n, cancelled, err = goOnWith(ctx, t, replay, now, most)
			return err
		})
		if cancelled && err == nil {
			return s.giveBack(ctx, replay, most)
		}
		return n, err
	})
}

// goOnWith makes more of a replay pending, or finishes it. Of a cancelled one it only says
// so.
func goOnWith(
	ctx context.Context, t *txn, replay uuid.UUID, now time.Time, limit int,
) (n int, cancelled bool, err error) {
	const read = `
		SELECT ` + replayColumns + `, r.reached,
			(SELECT count(*) FROM (SELECT FROM pending_deliveries p WHERE p.replay_id = r.id LIMIT $2) p)
		FROM webhook_replays r WHERE r.id = $1 AND r.open FOR UPDATE OF r SKIP LOCKED`
	var r delivery.Replay
	var reached uuid.UUID
	var pending int
	t.each(func(rows pgx.Rows) (err error) {
		r, err = scanReplay(rows, &reached, &pending)
		return err
	}, read, replay, delivery.MaxReplayPending)
	if err := t.flush(ctx); err != nil || r.Status != delivery.ReplayRunning {
		return 0, r.Status == delivery.ReplayCancelled, err
	}
	room := min(limit, delivery.MaxReplayPending-pending)
	if room == 0 {
		return 0, false, nil
	}
	found, err := findSelected(ctx, t, r, reached, room)
	if err != nil {
		return 0, false, err
	}
	if len(found.ids) == 0 && pending == 0 {
		t.exec(`UPDATE webhook_replays SET status = 'finished', open = false, finished_at = $2 WHERE id = $1`, replay, now)
		return 1, false, nil
	}
	if len(found.ids) == 0 {
		return 0, false, nil
	}
	return makePending(ctx, t, r, found, now)
}

type selected struct{ ids, jobs []uuid.UUID }

func findSelected(ctx context.Context, t *txn, r delivery.Replay, after uuid.UUID, limit int) (found selected, err error) {
	sql, args := selectedQuery(r, after, limit)
	t.each(func(rows pgx.Rows) error {
		var id uuid.UUID
		var job *uuid.UUID
		err := rows.Scan(&id, &job)
		found.ids = append(found.ids, id)
		if job != nil {
			found.jobs = append(found.jobs, *job)
		}
		return err
	}, sql, args...)
	return found, t.flush(ctx)
}

// makePending makes pending what a replay selects and nobody has made so meanwhile, or
// deleted.
func makePending(
	ctx context.Context, t *txn, r delivery.Replay, found selected, now time.Time,
) (n int, cancelled bool, err error) {
	const move = `
		WITH d AS (
			DELETE FROM deliveries WHERE endpoint_id = $4 AND id = ANY ($1::uuid[]) RETURNING *
		)
		INSERT INTO pending_deliveries (id, tenant, endpoint_id, event_id, job_id, type, url, trigger, bulk, replay_id, attempts,
			step, thin, due_at, first_due_at, created_at, was_status, was_trigger, was_replay_id, was_step, was_finished_at)
		SELECT id, tenant, endpoint_id, event_id, job_id, type, url, 'replay', true, $2, attempts,
			0, thin, $3, $3, created_at, status, trigger, replay_id, step, finished_at
		FROM d RETURNING id`
	const advance = `UPDATE webhook_replays SET reached = $2, queued = queued + $3 WHERE id = $1`
	var made []uuid.UUID
	t.exec(`SELECT FROM jobs WHERE id = ANY ($1::uuid[]) ORDER BY id FOR KEY SHARE`, found.jobs)
	t.each(appendID(&made), move, found.ids, r.ID, now, r.Endpoint)
	if err := t.flush(ctx); err != nil {
		return 0, false, err
	}
	t.exec(advance, r.ID, found.ids[len(found.ids)-1], len(made))
	return max(len(made), 1), false, nil
}
