package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// Expire ends jobs whose deadline has come: see [jobs.ControlStore]. Jobs of an
// execution that is being settled have their outcome already. An execution that
// another transaction has locked is passed over: most likely that one ends it,
// else the next look does. Waiting for it would delay every other deadline, for
// as long as a process that fell silent may keep its locks. Most looks find that
// nothing is due: those lock nothing.
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (expired jobs.Expired, err error) {
	next, err := s.nextDeadline(ctx)
	if err != nil || next.IsZero() || next.After(now) {
		return jobs.Expired{Next: next}, err
	}
	const query = `
		SELECT l.execution_id, l.job_id FROM live_jobs l
		CROSS JOIN LATERAL (
			SELECT FROM queue q WHERE q.id = l.execution_id AND NOT q.settling FOR UPDATE SKIP LOCKED
		) q
		WHERE l.deadline <= $1
		ORDER BY l.deadline LIMIT $2`
	err = s.write(ctx, "expire jobs", func(ctx context.Context, t *txn) error {
		expired = jobs.Expired{}
		var leavers []leaver
		t.each(func(rows pgx.Rows) error {
			var l leaver
			err := rows.Scan(&l.execution, &l.job)
			leavers = append(leavers, l)
			return err
		}, query, now, limit)
		if err := t.flush(ctx); err != nil || len(leavers) == 0 {
			return err
		}
		l, err := leave(ctx, t, leavers, jobs.StatusExpired, errExpired(), now, false)
		expired = jobs.Expired{Ended: l.ended, Stopped: l.stopped}
		return err
	})
	return expired, err
}

// nextDeadline returns the earliest deadline of a job that has no outcome yet;
// zero when there is none.
func (s *Store) nextDeadline(ctx context.Context) (next time.Time, err error) {
	err = s.bounded(ctx, "look for expired jobs", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, `
			SELECT l.deadline FROM live_jobs l JOIN queue q ON q.id = l.execution_id
			WHERE NOT q.settling ORDER BY l.deadline LIMIT 1`).Scan(&next)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		return err
	})
	return next, err
}
