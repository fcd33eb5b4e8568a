package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/group"
)

// Reschedule gives the execution back: see [jobs.RunStore].
func (s *Store) Reschedule(ctx context.Context, r jobs.Rescheduling) error {
	_, err := do(ctx, s.groups.reschedule, r)
	return err
}

func (s *Store) rescheduleAll(ctx context.Context, all []jobs.Rescheduling) ([]group.Result[struct{}], error) {
	results := make([]group.Result[struct{}], len(all))
	key := func(r jobs.Rescheduling) uuid.UUID { return r.Task.Execution }
	err := inRounds(all, key, func(which []int) error {
		return s.write(ctx, "reschedule", func(_ context.Context, t *txn) error {
			return giveBack(t, all, which, results)
		})
	})
	return results, err
}

// giveBack is one round trip: the first statement after the lock says which
// runs are given back.
func giveBack(t *txn, all []jobs.Rescheduling, which []int, results []group.Result[struct{}]) error {
	const update = `
		WITH v AS (
			SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::timestamptz[], $4::text[], $5::integer[], $6::integer[],
					$7::text[])
				WITH ORDINALITY AS v (id, fence, run_at, waiting_on, tries, target, provider, n)
		), back AS (
			DELETE FROM releases r USING v
			WHERE r.execution_id = v.id AND r.execution_id = ANY ($1) AND r.fence = v.fence AND r.worker IS NOT NULL
			RETURNING r.execution_id
		)
		UPDATE queue q SET visible_at = v.run_at, parked_until = CASE WHEN v.run_at > $8 THEN v.run_at END,
			waiting_on = v.waiting_on, tries = q.tries + v.tries, target = v.target, provider = v.provider
		FROM v JOIN back ON back.execution_id = v.id
		WHERE q.id = v.id AND q.id = ANY ($1)
		RETURNING v.n`
	now := column(which, func(i int) jobs.Rescheduling { return all[i] })
	for _, i := range which {
		results[i].Err = jobs.ErrStale
	}
	ids := column(now, func(r jobs.Rescheduling) uuid.UUID { return r.Task.Execution })
	lockExecutions(t, ids)
	lockDeletable(t, ids)
	recordCalls(t, column(now, func(r jobs.Rescheduling) jobs.Call { return r.Call }))
	t.each(func(rows pgx.Rows) error {
		var n int
		if err := rows.Scan(&n); err != nil {
			return err
		}
		results[which[n-1]].Err = nil
		return nil
	}, update, ids,
		column(now, func(r jobs.Rescheduling) int64 { return r.Task.Fence }),
		column(now, func(r jobs.Rescheduling) time.Time { return r.RunAt }),
		column(now, func(r jobs.Rescheduling) string { return string(r.WaitingOn) }),
		column(now, func(r jobs.Rescheduling) int { return r.Tries }),
		column(now, func(r jobs.Rescheduling) int { return r.Target }),
		column(now, func(r jobs.Rescheduling) string { return r.Call.Provider }),
		time.Now())
	return nil
}

// lockDeletable keeps the data of executions that have ended from being deleted
// before the transaction ends. Those that live cannot be.
func lockDeletable(t *txn, ids []uuid.UUID) {
	const lock = `
		SELECT FROM requests r
		WHERE r.execution_id = ANY ($1::uuid[]) AND (SELECT true FROM queue q WHERE q.id = r.execution_id) IS NULL
		ORDER BY r.execution_id FOR KEY SHARE OF r`
	t.exec(lock, ids)
}
