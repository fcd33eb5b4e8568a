package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

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
