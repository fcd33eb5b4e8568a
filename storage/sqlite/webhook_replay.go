package sqlite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// StartReplay keeps a replay: see [delivery.EndpointStore]. What it selects is counted
// beside the one writer.
func (s *Store) StartReplay(ctx context.Context, r delivery.Replay) (delivery.Replay, error) {
	var err error
	if r.Total, err = s.countChosen(ctx, r); err != nil {
		return delivery.Replay{}, err
	}
	statuses, err := jsonList(r.Statuses)
	if err != nil {
		return delivery.Replay{}, err
	}
	types, err := jsonList(r.Types)
	if err != nil {
		return delivery.Replay{}, err
	}
	return change(ctx, s, "start a replay", func(ctx context.Context, t *statements) (delivery.Replay, error) {
		e, err := endpointOf(ctx, t, r.Tenant, r.Endpoint)
		if err != nil {
			return delivery.Replay{}, err
		}
		if e.Disabled != "" {
			return delivery.Replay{}, delivery.ErrDisabled
		}
		_, err = t.exec(ctx, `
			INSERT INTO webhook_replays (id, tenant, endpoint_id, since, until, statuses, types, status, total, cursor, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id(r.ID), r.Tenant, id(r.Endpoint), micros(r.Since), micros(r.Until), statuses, types,
			string(delivery.ReplayRunning), r.Total, id(uuid.Nil), micros(r.CreatedAt))
		if err != nil {
			return delivery.Replay{}, err
		}
		return replayOf(ctx, t, r.Tenant, r.ID)
	})
}

// jsonList returns a list as JSON: empty for an empty one.
func jsonList[T any](list []T) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	b, err := json.Marshal(list)
	if err != nil {
		return "", fmt.Errorf("write a list: %w", err)
	}
	return string(b), nil
}

func (s *Store) countChosen(ctx context.Context, r delivery.Replay) (int64, error) {
	return read(ctx, s, "count what a replay selects", func(ctx context.Context, q *statements) (total int64, err error) {
		for _, status := range statusesOf(r) {
			where, args, err := chosen(r, status, uuid.Nil)
			if err != nil {
				return 0, err
			}
			var n int64
			if err := q.row(ctx, `SELECT count(*) FROM deliveries`+where, args...).Scan(&n); err != nil {
				return 0, err
			}
			total += n
		}
		return total, nil
	})
}

// statusesOf lists the statuses that a replay selects.
func statusesOf(r delivery.Replay) []delivery.Status {
	return slices.DeleteFunc([]delivery.Status{
		delivery.StatusDelivered, delivery.StatusFailed, delivery.StatusSkipped,
	}, func(s delivery.Status) bool { return len(r.Statuses) > 0 && !slices.Contains(r.Statuses, s) })
}

// chosen is the condition for what a replay selects of one status behind a delivery, in
// the order of ids: one of two texts. Ids begin with the millisecond of their event: only
// in the first and the last one it must be looked at more closely.
func chosen(r delivery.Replay, status delivery.Status, after uuid.UUID) (where string, args []any, err error) {
	first, second := floorID(r.Since), floorID(r.Since.Add(time.Millisecond))
	if bytes.Compare(after[:], first[:]) > 0 {
		first = after
	}
	before, last, end := int64(never), uuid.Max, uuid.Max
	if !r.Until.IsZero() {
		before, last, end = micros(r.Until), floorID(r.Until), floorID(r.Until.Add(time.Millisecond))
	}
	where = ` WHERE endpoint_id = ? AND status = ? AND id > ? AND id < ?
		AND (id >= ? AND id < ? OR created_at >= ? AND created_at < ?)`
	args = []any{
		id(r.Endpoint), string(status), id(first), id(end), id(second), id(last), micros(r.Since), before,
	}
	if len(r.Types) > 0 {
		types, err := jsonList(r.Types)
		if err != nil {
			return "", nil, err
		}
		where, args = where+` AND type IN (SELECT m.value FROM json_each(?) m)`, append(args, types)
	}
	return where, args, nil
}

const selectReplay = `
	SELECT r.id, r.tenant, r.endpoint_id, r.since, r.until, r.statuses, r.types, r.status, r.total, r.queued, r.delivered,
		r.failed, r.created_at, r.finished_at, r.cursor
	FROM webhook_replays r`

// replayed is a replay with the last delivery that it has looked at.
type replayed struct {
	delivery.Replay

	cursor uuid.UUID
}

func scanReplay(row scanner) (replayed, error) {
	var r replayed
	var since, until, created, finished int64
	var statuses, types string
	err := row.Scan(&r.ID, &r.Tenant, &r.Endpoint, &since, &until, &statuses, &types, &r.Status, &r.Total, &r.Queued,
		&r.Delivered, &r.Failed, &created, &finished, &r.cursor)
	if err != nil {
		return replayed{}, err
	}
	r.Since, r.Until, r.CreatedAt, r.FinishedAt = when(since), when(until), when(created), when(finished)
	if err := readLists([]list{{statuses, &r.Statuses}, {types, &r.Types}}); err != nil {
		return replayed{}, fmt.Errorf("read replay %s: %w", r.ID, err)
	}
	return r, nil
}

func replayOf(ctx context.Context, q *statements, tenant string, replayID uuid.UUID) (delivery.Replay, error) {
	r, err := scanReplay(q.row(ctx, selectReplay+` WHERE r.id = ? AND r.tenant = ?`, id(replayID), tenant))
	if ok, err := found(err); err != nil || !ok {
		return delivery.Replay{}, orNotFound(err)
	}
	return r.Replay, nil
}

// ReplayByID returns a replay: see [delivery.EndpointStore].
func (s *Store) ReplayByID(ctx context.Context, tenant string, replayID uuid.UUID) (delivery.Replay, error) {
	return read(ctx, s, "read a replay", func(ctx context.Context, q *statements) (delivery.Replay, error) {
		return replayOf(ctx, q, tenant, replayID)
	})
}

// Replays lists the replays of an endpoint: see [delivery.EndpointStore].
func (s *Store) Replays(ctx context.Context, tenant string, endpoint uuid.UUID) ([]delivery.Replay, error) {
	return read(ctx, s, "list replays", func(ctx context.Context, q *statements) ([]delivery.Replay, error) {
		if _, err := endpointOf(ctx, q, tenant, endpoint); err != nil {
			return nil, err
		}
		return all(ctx, q, func(row scanner) (delivery.Replay, error) {
			r, err := scanReplay(row)
			return r.Replay, err
		}, selectReplay+` WHERE r.endpoint_id = ? ORDER BY r.created_at DESC, r.id DESC LIMIT 100`, id(endpoint))
	})
}

// CancelReplay cancels a replay: see [delivery.EndpointStore].
func (s *Store) CancelReplay(
	ctx context.Context, tenant string, replayID uuid.UUID, at time.Time,
) (delivery.Replay, error) {
	return change(ctx, s, "cancel a replay", func(ctx context.Context, t *statements) (delivery.Replay, error) {
		n, err := t.exec(ctx, `
			UPDATE webhook_replays SET status = 'cancelled', finished_at = ? WHERE id = ? AND tenant = ? AND status = 'running'`,
			micros(at), id(replayID), tenant)
		if err != nil {
			return delivery.Replay{}, err
		}
		if n == 1 {
			if err := putBack(ctx, t, replayID); err != nil {
				return delivery.Replay{}, err
			}
		}
		return replayOf(ctx, t, tenant, replayID)
	})
}

// putBack makes what is pending of a replay what it was before.
func putBack(ctx context.Context, t *statements, replayID uuid.UUID) error {
	_, err := t.exec(ctx, `
		UPDATE deliveries SET status = was_status, trigger = was_trigger, replay_id = was_replay_id,
			bulk = was_trigger = 'replay', step = was_step, finished_at = was_finished_at
		WHERE replay_id = ? AND status = 'pending'`, id(replayID))
	return err
}

// advanceReplays makes running replays go on, by some of each.
func (s *Store) advanceReplays(ctx context.Context, now time.Time, limit int) (int, error) {
	running, err := read(ctx, s, "list running replays", func(ctx context.Context, q *statements) ([]replayed, error) {
		return all(ctx, q, scanReplay, selectReplay+` CROSS JOIN webhook_endpoints e ON e.id = r.endpoint_id
			WHERE r.status = 'running' AND e.disabled = '' ORDER BY r.id`)
	})
	if err != nil {
		return 0, err
	}
	return inTurn(running, limit, func(r replayed, limit int) (int, error) { return s.advance(ctx, r, now, limit) })
}

// advance makes the next of a replay pending: the oldest, in one transaction. When nothing
// is left to send, the replay has finished.
func (s *Store) advance(ctx context.Context, r replayed, now time.Time, limit int) (int, error) {
	next, err := read(ctx, s, "look what a replay selects", func(ctx context.Context, q *statements) (page, error) {
		return nextOf(ctx, q, r, min(limit, sweptAtOnce))
	})
	if err != nil || len(next.deliveries) == 0 && next.pending > 0 {
		return 0, err
	}
	return change(ctx, s, "go on with a replay", func(ctx context.Context, t *statements) (int, error) {
		same, err := exists(ctx, t, `SELECT 1 FROM webhook_replays WHERE id = ? AND status = 'running' AND cursor = ?`,
			id(r.ID), id(r.cursor))
		if err != nil || !same {
			return 0, err
		}
		if len(next.deliveries) == 0 {
			return finishReplay(ctx, t, r.ID, now)
		}
		return len(next.deliveries), queue(ctx, t, r, next.deliveries, now)
	})
}

// page is what a replay has pending, and what comes next.
type page struct {
	pending    int
	deliveries []uuid.UUID
}

func nextOf(ctx context.Context, q *statements, r replayed, limit int) (p page, err error) {
	const pending = `SELECT count(*) FROM deliveries WHERE replay_id = ? AND status = 'pending'`
	if err := q.row(ctx, pending, id(r.ID)).Scan(&p.pending); err != nil {
		return page{}, err
	}
	limit = min(limit, delivery.MaxReplayPending-p.pending)
	for _, status := range statusesOf(r.Replay) {
		where, args, err := chosen(r.Replay, status, r.cursor)
		if err != nil {
			return page{}, err
		}
		list, err := all(ctx, q, scanID, `SELECT id FROM deliveries`+where+` ORDER BY id LIMIT +?`, append(args, limit)...)
		if err != nil {
			return page{}, err
		}
		p.deliveries = append(p.deliveries, list...)
	}
	slices.SortFunc(p.deliveries, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	p.deliveries = p.deliveries[:min(len(p.deliveries), limit)]
	return p, nil
}

// queue makes deliveries pending for a replay.
func queue(ctx context.Context, t *statements, r replayed, deliveries []uuid.UUID, now time.Time) error {
	var queued int64
	for _, d := range deliveries {
		n, err := t.exec(ctx, `
			UPDATE deliveries SET was_status = status, was_trigger = trigger, was_replay_id = replay_id, was_step = step,
				was_finished_at = finished_at,
				status = 'pending', trigger = 'replay', replay_id = ?1, bulk = 1, step = 0, due_at = ?2, first_due_at = ?2,
				finished_at = 0
			WHERE id = ?3 AND status <> 'pending'`, id(r.ID), micros(now), id(d))
		if err != nil {
			return err
		}
		queued += n
	}
	_, err := t.exec(ctx, `UPDATE webhook_replays SET queued = queued + ?, cursor = ? WHERE id = ?`,
		queued, id(deliveries[len(deliveries)-1]), id(r.ID))
	return err
}

// finishReplay ends a replay that has queued all, unless some of it is pending by now.
func finishReplay(ctx context.Context, t *statements, replayID uuid.UUID, now time.Time) (int, error) {
	n, err := t.exec(ctx, `
		UPDATE webhook_replays SET status = 'finished', finished_at = ?1
		WHERE id = ?2 AND NOT EXISTS (SELECT 1 FROM deliveries WHERE replay_id = ?2 AND status = 'pending')`,
		micros(now), id(replayID))
	return int(n), err
}
