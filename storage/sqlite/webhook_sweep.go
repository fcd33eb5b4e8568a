package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

var _ delivery.Store = (*Store)(nil)

// sweptAtOnce is how many deliveries one transaction sweeps: few, so that other writes
// come in between.
const sweptAtOnce = 250

// Sweep does what is left to do: see [delivery.CourierStore]. Each kind of it gets its
// share, and so does each endpoint and replay.
func (s *Store) Sweep(ctx context.Context, now time.Time, limit int) (int, error) {
	kinds := []func(ctx context.Context, now time.Time, limit int) (int, error){
		s.skipDisabled, s.advanceReplays, s.dropSecrets, s.sweepRemovals,
	}
	return inTurn(kinds, limit, func(sweep func(context.Context, time.Time, int) (int, error), limit int) (int, error) {
		return sweep(ctx, now, limit)
	})
}

// inTurn works on each item, up to the limit in all: each may use what is left, divided
// by those that have not had their turn.
func inTurn[T any](items []T, limit int, work func(item T, limit int) (int, error)) (done int, err error) {
	for i, item := range items {
		left := len(items) - i
		share := (limit - done + left - 1) / left
		if share <= 0 {
			break
		}
		n, err := work(item, share)
		if done += n; err != nil {
			return done, err
		}
	}
	return done, nil
}

// inChunks repeats a transaction until it finds no more to do, or the limit is reached.
func inChunks(limit int, work func(limit int) (int, error)) (done int, err error) {
	for done < limit {
		chunk := min(limit-done, sweptAtOnce)
		n, err := work(chunk)
		if done += n; err != nil || n < chunk {
			return done, err
		}
	}
	return done, nil
}

// skipDisabled skips what is pending of disabled endpoints.
func (s *Store) skipDisabled(ctx context.Context, now time.Time, limit int) (int, error) {
	disabled, err := read(ctx, s, "list disabled endpoints", func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
		return all(ctx, q, scanID, stepping+`
			SELECT e.id FROM step CROSS JOIN webhook_endpoints e ON e.id = step.endpoint WHERE e.disabled <> ''`)
	})
	if err != nil {
		return 0, err
	}
	return inTurn(disabled, limit, func(endpoint uuid.UUID, limit int) (int, error) {
		return inChunks(limit, func(limit int) (int, error) { return s.skip(ctx, endpoint, now, limit) })
	})
}

func (s *Store) skip(ctx context.Context, endpoint uuid.UUID, now time.Time, limit int) (int, error) {
	return change(ctx, s, "skip deliveries", func(ctx context.Context, t *statements) (int, error) {
		n, err := t.exec(ctx, `
			UPDATE deliveries SET status = 'skipped', finished_at = ?1 WHERE id IN (
				SELECT d.id FROM webhook_endpoints e CROSS JOIN deliveries d ON d.endpoint_id = e.id
				WHERE e.id = ?2 AND e.disabled <> '' AND d.status = 'pending' LIMIT +?3)`, micros(now), id(endpoint), limit)
		return int(n), err
	})
}

// dropSecrets deletes secrets that sign no more.
func (s *Store) dropSecrets(ctx context.Context, now time.Time, limit int) (int, error) {
	expired, err := read(ctx, s, "list expired secrets", func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
		return all(ctx, q, scanID, `SELECT id FROM webhook_secrets WHERE expires_at > 0 AND expires_at <= ? LIMIT +?`,
			micros(now), min(limit, sweptAtOnce))
	})
	if err != nil || len(expired) == 0 {
		return 0, err
	}
	return change(ctx, s, "delete expired secrets", func(ctx context.Context, t *statements) (int, error) {
		for _, secret := range expired {
			if _, err := t.exec(ctx, `DELETE FROM webhook_secrets WHERE id = ?`, id(secret)); err != nil {
				return 0, err
			}
		}
		return len(expired), nil
	})
}

// sweepRemovals deletes the deliveries of endpoints that were deleted.
func (s *Store) sweepRemovals(ctx context.Context, _ time.Time, limit int) (int, error) {
	removed, err := read(ctx, s, "list deleted endpoints", func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
		return all(ctx, q, scanID, `SELECT endpoint_id FROM webhook_removals ORDER BY endpoint_id LIMIT +?`, limit)
	})
	if err != nil {
		return 0, err
	}
	return inTurn(removed, limit, func(endpoint uuid.UUID, limit int) (int, error) {
		return inChunks(limit, func(limit int) (int, error) { return s.sweepRemoved(ctx, endpoint, limit) })
	})
}

// sweepRemoved deletes deliveries of an endpoint that was deleted, up to limit. The last
// of them is the note that there are any.
func (s *Store) sweepRemoved(ctx context.Context, endpoint uuid.UUID, limit int) (int, error) {
	return change(ctx, s, "delete the deliveries of an endpoint", func(ctx context.Context, t *statements) (int, error) {
		list, err := all(ctx, t, scanID, `
			SELECT d.id FROM webhook_removals r CROSS JOIN deliveries d ON d.endpoint_id = r.endpoint_id
			WHERE r.endpoint_id = ? LIMIT +?`, id(endpoint), limit)
		if err != nil {
			return 0, err
		}
		for _, d := range list {
			if err := deleteDelivery(ctx, t, d); err != nil {
				return 0, err
			}
		}
		if len(list) == limit {
			return limit, nil
		}
		n, err := t.exec(ctx, `DELETE FROM webhook_removals WHERE endpoint_id = ?`, id(endpoint))
		return len(list) + int(n), err
	})
}

// ForgetDeliveries deletes what is past its retention: see [delivery.CourierStore].
func (s *Store) ForgetDeliveries(ctx context.Context, before time.Time) error {
	for {
		n, err := s.forgetDeliveries(ctx, before)
		if err != nil {
			return err
		}
		if n < retainAtOnce {
			break
		}
	}
	for _, statement := range []string{
		`DELETE FROM events WHERE (job_id, id) IN (
			SELECT v.job_id, v.id FROM events v INDEXED BY events_of_none WHERE v.data IS NOT NULL AND v.created_at < ?1
				AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = v.id AND d.job_id IS NULL)
			LIMIT +?2)`,
		`DELETE FROM webhook_replays WHERE id IN (
			SELECT id FROM webhook_replays WHERE status <> 'running' AND created_at < ?1 LIMIT +?2)`,
	} {
		if err := s.deleteOlder(ctx, statement, before); err != nil {
			return err
		}
	}
	return nil
}

// forgetDeliveries deletes the oldest finished deliveries in one transaction.
func (s *Store) forgetDeliveries(ctx context.Context, before time.Time) (int, error) {
	old, err := read(ctx, s, "list old deliveries", func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
		return all(ctx, q, scanID, `
			SELECT id FROM deliveries WHERE id < ? AND created_at < ? AND status <> 'pending' ORDER BY id LIMIT +?`,
			id(floorID(before.Add(time.Millisecond))), micros(before), retainAtOnce)
	})
	if err != nil || len(old) == 0 {
		return 0, err
	}
	return change(ctx, s, "delete old deliveries", func(ctx context.Context, t *statements) (int, error) {
		for _, d := range old {
			if err := deleteDelivery(ctx, t, d); err != nil {
				return 0, err
			}
		}
		return len(old), nil
	})
}

// deleteOlder runs a statement that deletes a few of what is older, until none is left.
func (s *Store) deleteOlder(ctx context.Context, statement string, before time.Time) error {
	for {
		n, err := change(ctx, s, "delete what is past its retention", func(ctx context.Context, t *statements) (int64, error) {
			return t.exec(ctx, statement, micros(before), retainAtOnce)
		})
		if err != nil || n < retainAtOnce {
			return err
		}
	}
}
