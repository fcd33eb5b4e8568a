package sqlite

import (
	"context"
	"time"
)

// Unpark brings back executions whose time has come: see [jobs.DispatchStore].
// It writes only if there are any.
func (s *Store) Unpark(ctx context.Context, now time.Time, limit int) (n int, next time.Time, err error) {
	next, err = s.nextParked(ctx, 0)
	if err != nil || next.IsZero() || next.After(now) {
		return 0, next, err
	}
	n, err = change(ctx, s, "bring back what is due", func(ctx context.Context, t *statements) (int, error) {
		changed, err := t.exec(ctx, `
			UPDATE queue SET parked_until = 0 WHERE id IN (
				SELECT id FROM queue WHERE parked_until > 0 AND parked_until <= ? ORDER BY parked_until LIMIT +?)`,
			micros(now), limit)
		return int(changed), err
	})
	if err != nil {
		return 0, time.Time{}, err
	}
	next, err = s.nextParked(ctx, micros(now))
	return n, next, err
}

// nextParked returns when the next execution is due after the given time, which
// is in microseconds; zero if none waits.
func (s *Store) nextParked(ctx context.Context, after int64) (time.Time, error) {
	return read(ctx, s, "see what is due", func(ctx context.Context, q *statements) (time.Time, error) {
		var at int64
		_, err := found(q.row(ctx, `
			SELECT parked_until FROM queue WHERE parked_until > 0 AND parked_until > ?
			ORDER BY parked_until LIMIT 1`, after).Scan(&at))
		return when(at), err
	})
}
