package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// unservedRoutes lists the routes that have jobs for GiveUp, stepping from one to
// the next in their index.
const unservedRoutes = `
	WITH RECURSIVE r (route) AS (
		(SELECT l.unserved_route FROM live_jobs l WHERE l.unserved_route IS NOT NULL ORDER BY l.unserved_route LIMIT 1)
		UNION ALL
		SELECT next.route FROM r CROSS JOIN LATERAL (
			SELECT l.unserved_route AS route FROM live_jobs l WHERE l.unserved_route > r.route
			ORDER BY l.unserved_route LIMIT 1
		) next
	)
	SELECT route FROM r`

// allDegrade says that no live job of q would do anything else.
const allDegrade = `
	(SELECT true FROM live_jobs l WHERE l.execution_id = q.id AND l.on_unavailable <> 2 LIMIT 1) IS NULL`

// allLookedAt says that, and that no stored result answers any of them: GiveUp has
// looked.
const allLookedAt = `
	(SELECT true FROM live_jobs l WHERE l.execution_id = q.id AND (l.on_unavailable <> 2 OR l.unserved_route IS NOT NULL)
		LIMIT 1) IS NULL`

// anyAge is the staleAfter of a job that takes a result however old.
var anyAge = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

// unservedQuery passes over executions that another transaction has locked, as
// Expire does.
const unservedQuery = `
	SELECT l.execution_id, l.job_id, l.on_unavailable, q.hash, q.tenant FROM live_jobs l
	CROSS JOIN LATERAL (
		SELECT q.hash, q.tenant FROM queue q
		WHERE q.id = l.execution_id AND q.visible_at < 'infinity' AND NOT q.settling FOR UPDATE SKIP LOCKED
	) q
	WHERE l.unserved_route = $1 AND l.deadline > $2
	ORDER BY l.job_id LIMIT $3`

// unserved is a job that GiveUp looks at.
type unserved struct {
	leaver
	wants        jobs.OnUnavailable
	hash, tenant string
}

// GiveUp does what jobs want that cannot be served: see [jobs.DispatchStore].
func (s *Store) GiveUp(ctx context.Context, u jobs.Unserved) (got jobs.GivenUp, err error) {
	err = s.write(ctx, "give up", func(ctx context.Context, t *txn) error {
		got = jobs.GivenUp{}
		all, err := lockUnserved(ctx, t, u)
		if err != nil || len(all) == 0 {
			return err
		}
		got.More = len(all) == u.Limit
		leavers, err := thoseThatEnd(ctx, t, all)
		if err != nil || len(leavers) == 0 {
			return err
		}
		l, err := leave(ctx, t, leavers, jobs.StatusFailed, &u.Why, u.At, false)
		got.Ended = l.ended
		return err
	})
	if err != nil {
		return jobs.GivenUp{}, err
	}
	return got, nil
}

func lockUnserved(ctx context.Context, t *txn, u jobs.Unserved) (all []unserved, err error) {
	t.each(func(rows pgx.Rows) error {
		var j unserved
		err := rows.Scan(&j.execution, &j.job, &j.wants, &j.hash, &j.tenant)
		all = append(all, j)
		return err
	}, unservedQuery, u.Route, u.At, u.Limit)
	return all, t.flush(ctx)
}

// thoseThatEnd returns the jobs that fail, and of those that would degrade the ones
// that a stored result answers: that is locked, so that it stays. The others are
// not looked at again.
func thoseThatEnd(ctx context.Context, t *txn, all []unserved) ([]leaver, error) {
	const stored = `
		SELECT v.n FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS v (hash, tenant, n)
		CROSS JOIN LATERAL (
			SELECT FROM results r WHERE r.hash = v.hash AND r.tenant = v.tenant AND ` + copyable + `
			ORDER BY r.finished_at DESC LIMIT 1 FOR KEY SHARE
		) r`
	const lookNoMore = `
		UPDATE live_jobs l SET unserved_route = NULL FROM unnest($1::uuid[], $2::uuid[]) AS v (execution_id, job_id)
		WHERE l.execution_id = v.execution_id AND l.job_id = v.job_id AND l.execution_id = ANY ($1)`
	var ends []leaver
	var degrading []unserved
	for _, j := range all {
		if j.wants == jobs.OnUnavailableDegrade {
			degrading = append(degrading, j)
		} else {
			ends = append(ends, j.leaver)
		}
	}
	if len(degrading) == 0 {
		return ends, nil
	}
	answered := make(map[int]bool)
	t.each(func(rows pgx.Rows) error {
		var n int
		err := rows.Scan(&n)
		answered[n-1] = true
		return err
	}, stored,
		column(degrading, func(j unserved) string { return j.hash }),
		column(degrading, func(j unserved) string { return j.tenant }))
	if err := t.flush(ctx); err != nil {
		return nil, err
	}
	var others []unserved
	for i, j := range degrading {
		if j.degrades = answered[i]; j.degrades {
			ends = append(ends, j.leaver)
		} else {
			others = append(others, j)
		}
	}
	t.exec(lookNoMore,
		column(others, func(j unserved) uuid.UUID { return j.execution }),
		column(others, func(j unserved) uuid.UUID { return j.job }))
	return ends, t.flush(ctx)
}
