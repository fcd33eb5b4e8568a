package postgres

import (
	"context"
	"time"
)

// unparkQuery reads, of those that wait, the ones that are due and the next. One
// that somebody has locked is left for the next time: the dispatcher waits for
// nobody.
const unparkQuery = `
	WITH due AS MATERIALIZED (
		SELECT q.id FROM queue q WHERE q.parked_until <= $1
		ORDER BY q.parked_until LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
	), back AS (
		UPDATE queue q SET parked_until = NULL WHERE q.id = ANY (ARRAY (SELECT due.id FROM due))
		RETURNING q.id
	)
	SELECT (SELECT count(*) FROM back),
		(SELECT q.parked_until FROM queue q WHERE q.parked_until > $1 ORDER BY q.parked_until LIMIT 1)`

// Unpark brings back executions whose time has come: see [jobs.DispatchStore].
func (s *Store) Unpark(ctx context.Context, now time.Time, limit int) (n int, next time.Time, err error) {
	err = s.bounded(ctx, "bring back what is due", func(ctx context.Context) error {
		var at *time.Time
		err := s.pool.QueryRow(ctx, unparkQuery, now, limit).Scan(&n, &at)
		next = orZero(at)
		return err
	})
	if err != nil {
		return 0, time.Time{}, err
	}
	return n, next, nil
}
