package postgres

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// rivals are the flows g of the same pool as f, but for f.
const rivals = `g.pool = f.pool AND g.tenant <> '' AND g.until > $2
			AND (g.tenant, g.route, g.use_case, g.low) <> (f.tenant, f.route, f.use_case, f.low)`

// prospectQuery counts what stands in front in the index alone, which has no
// place for what is released: that is few, and is counted from its own table.
const prospectQuery = `
	SELECT q.priority, CASE WHEN q.visible_at < 'infinity' AND q.visible_at > $2 THEN q.visible_at END,
		mine.execution_id IS NOT NULL,
		CASE WHEN mine.execution_id IS NULL THEN above.n - out.claimed_above ELSE out.sooner_above END,
		CASE WHEN mine.execution_id IS NULL THEN own.n - out.claimed_own + out.unclaimed_behind ELSE out.sooner END,
		f.rate, f.run_us, f.waiting_on, w.run_us, w.waiting_on,
		(SELECT array_agg(g.rate ORDER BY g.tenant, g.route, g.use_case, g.low) FROM backlogs g WHERE ` + rivals + `),
		(SELECT array_agg(g.queued ORDER BY g.tenant, g.route, g.use_case, g.low) FROM backlogs g WHERE ` + rivals + `)
	FROM queue q
	LEFT JOIN releases mine ON mine.execution_id = q.id
	CROSS JOIN LATERAL (
		SELECT count(*) AS n FROM (
			SELECT FROM (VALUES (-1::smallint), (0::smallint)) AS p (priority)
			CROSS JOIN LATERAL (
				SELECT FROM queue a
				WHERE a.route = q.route AND a.use_case = q.use_case AND a.priority = p.priority AND a.tenant = q.tenant
					AND a.parked_until IS NULL
				LIMIT $3
			) a
			WHERE p.priority < q.priority
			LIMIT $3
		) a
	) above
	CROSS JOIN LATERAL (
		SELECT count(*) AS n FROM (
			SELECT FROM queue a
			WHERE a.route = q.route AND a.use_case = q.use_case AND a.priority = q.priority AND a.tenant = q.tenant
				AND a.parked_until IS NULL
				AND (a.deadline, a.id) < (q.deadline, q.id)
			LIMIT $3
		) a
	) own
	CROSS JOIN LATERAL (
		SELECT
			count(*) FILTER (WHERE r.worker IS NOT NULL AND a.priority < q.priority) AS claimed_above,
			count(*) FILTER (WHERE r.worker IS NOT NULL AND a.priority = q.priority
				AND (a.deadline, a.id) < (q.deadline, q.id)) AS claimed_own,
			count(*) FILTER (WHERE r.worker IS NULL AND a.priority = q.priority
				AND (a.deadline, a.id) > (q.deadline, q.id)) AS unclaimed_behind,
			count(*) FILTER (WHERE r.worker IS NULL AND r.priority < mine.priority) AS sooner_above,
			count(*) FILTER (WHERE r.worker IS NULL AND r.priority = mine.priority
				AND (r.released_at, a.deadline, a.id) < (mine.released_at, q.deadline, q.id)) AS sooner
		FROM releases r CROSS JOIN LATERAL (SELECT * FROM queue a WHERE a.id = r.execution_id OFFSET 0) a
		WHERE r.tenant = q.tenant AND a.route = q.route AND a.use_case = q.use_case
	) out
	LEFT JOIN backlogs f ON f.tenant = q.tenant AND f.route = q.route AND f.use_case = q.use_case
		AND f.low = (q.priority > 0) AND f.until > $2
	LEFT JOIN backlogs w ON w.tenant = '' AND w.route = q.route AND w.use_case = q.use_case AND NOT w.low AND w.until > $2
	WHERE q.id = $1 AND NOT q.settling AND mine.worker IS NULL`

// Prospect tells what an execution has before it: see [jobs.ReadStore].
func (s *Store) Prospect(ctx context.Context, execution uuid.UUID, now time.Time) (jobs.Prospect, error) {
	var p jobs.Prospect
	err := s.bounded(ctx, "see what is before a job", func(ctx context.Context) error {
		var runAt *time.Time
		var rate *float64
		var run, routeRun *int64
		var waitingOn, closed *string
		var rates []float64
		var left []int
		err := s.pool.QueryRow(ctx, prospectQuery, execution, now, jobs.MaxAhead).
			Scan(&p.Priority, &runAt, &p.Released, &p.Above, &p.Own, &rate, &run, &waitingOn, &routeRun, &closed, &rates,
				&left)
		if errors.Is(err, pgx.ErrNoRows) {
			return jobs.ErrNotFound
		}
		p.RunAt, p.Run, p.Closed = orZero(runAt), microseconds(orZero(routeRun)), jobs.WaitingOn(orZero(closed))
		p.Flow = jobs.Flow{
			Low: p.Priority == jobs.PriorityLow, Rate: orZero(rate), Run: microseconds(orZero(run)),
			WaitingOn: jobs.WaitingOn(orZero(waitingOn)),
		}
		for i, rate := range rates {
			p.Rivals = append(p.Rivals, jobs.Rival{Rate: rate, Left: left[i]})
		}
		return err
	})
	if err != nil {
		return jobs.Prospect{}, err
	}
	return p, nil
}

func microseconds(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// SetFlows replaces what is known of how backlogs move: see
// [jobs.DispatchStore].
func (s *Store) SetFlows(ctx context.Context, flows []jobs.Flow, until time.Time) error {
	const set = `
		INSERT INTO backlogs (tenant, route, low, pool, rate, run_us, waiting_on, use_case, until, queued)
		SELECT v.*, $8, CASE WHEN v.tenant = '' THEN 0 ELSE (
			SELECT CASE WHEN count(*) < $9 THEN count(*) ELSE $10 END FROM (
				SELECT FROM (VALUES (-1::smallint), (0::smallint), (1::smallint)) AS p (priority)
				CROSS JOIN LATERAL (
					SELECT FROM queue q
					WHERE q.route = v.route AND q.use_case = v.use_case AND q.priority = p.priority AND q.tenant = v.tenant
						AND q.parked_until IS NULL AND q.visible_at < 'infinity'
					LIMIT $9
				) q
				WHERE (p.priority > 0) = v.low
				LIMIT $9
			) q) END
		FROM unnest($1::text[], $2::text[], $3::boolean[], $4::text[], $5::double precision[], $6::bigint[], $7::text[],
				$11::text[])
			AS v (tenant, route, low, pool, rate, run_us, waiting_on, use_case)
		ORDER BY tenant, route, use_case, low
		ON CONFLICT (tenant, route, use_case, low) DO UPDATE SET
			pool = excluded.pool, rate = excluded.rate, run_us = excluded.run_us, waiting_on = excluded.waiting_on,
			until = excluded.until, queued = excluded.queued`
	return s.write(ctx, "tell how backlogs move", func(_ context.Context, t *txn) error {
		t.exec(set,
			column(flows, func(f jobs.Flow) string { return f.Tenant }),
			column(flows, func(f jobs.Flow) string { return f.Route }),
			column(flows, func(f jobs.Flow) bool { return f.Low }),
			column(flows, func(f jobs.Flow) string { return f.Pool }),
			column(flows, func(f jobs.Flow) float64 { return f.Rate }),
			column(flows, func(f jobs.Flow) int64 { return f.Run.Microseconds() }),
			column(flows, func(f jobs.Flow) string { return string(f.WaitingOn) }),
			until, jobs.CountedOf(len(flows)), math.MaxInt,
			column(flows, func(f jobs.Flow) string { return f.UseCase }))
		t.exec(`DELETE FROM backlogs WHERE until <> $1`, until)
		return nil
	})
}
