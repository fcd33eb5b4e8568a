package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// leaver is a live job that ends while its execution may go on.
type leaver struct {
	execution, job uuid.UUID
	// degrades says that the newest stored answer is the job's, however old.
	degrades bool
}

// left is what the leavers left behind.
type left struct {
	// ended lists the leavers that were live, stopped the executions that lost
	// their last job.
	ended   []uuid.UUID
	stopped []jobs.Task
}

// departure is one leaver with what its execution tells of it.
type departure struct {
	leaver
	tenant    string
	hash      string
	startedAt *time.Time
	tries     int
	provider  string
	payer     uuid.UUID
	settling  bool
	// staleAfter is that of a [liveJob].
	staleAfter *time.Time
	ephemeral  bool
	audience
}

// leave ends the jobs as status says, those of them that still live, and
// abandons executions that lose their last job. Executions whose outcome is
// written already are settled, not stopped; their jobs leave only if settling
// says so.
func leave(
	ctx context.Context, t *txn, leavers []leaver, status jobs.Status, why *jobs.JobError, at time.Time, settling bool,
) (left, error) {
	departures, err := lockDepartures(ctx, t, leavers)
	if err != nil {
		return left{}, err
	}
	var l left
	var ends []jobEnd
	last := map[uuid.UUID]int{} // the place in ends of the last leaver of each execution
	for _, d := range departures {
		if d.settling && !settling {
			continue
		}
		if d.degrades {
			d.staleAfter = &anyAge
		}
		last[d.execution] = len(ends)
		l.ended = append(l.ended, d.job)
		ends = append(ends, jobEnd{
			job: d.job, execution: d.execution, tenant: d.tenant, status: status, err: why, at: at,
			startedAt: d.startedAt, tries: d.tries, provider: d.provider, hash: d.hash, staleAfter: d.staleAfter,
			ephemeral: d.ephemeral, audience: d.audience, degraded: d.degrades,
		})
	}
	if len(ends) == 0 {
		return l, nil
	}
	abandoned, err := emptied(ctx, t, idsOf(last), ends)
	if err != nil {
		return left{}, err
	}
	for _, id := range abandoned {
		ends[last[id]].pays = true
	}
	if err := endJobs(ctx, t, ends); err != nil {
		return left{}, err
	}
	l.stopped, err = goOn(ctx, t, idsOf(last))
	return l, err
}

// lockDepartures locks the executions and returns the leavers that still live.
func lockDepartures(ctx context.Context, t *txn, leavers []leaver) ([]departure, error) {
	const query = `
		SELECT l.execution_id, l.job_id, l.tenant, q.hash, q.started_at, q.tries, q.provider, q.payer_job_id, q.settling,
			l.stale_after, l.ephemeral, l.webhook, l.batch, l.response, v.degrades
		FROM unnest($1::uuid[], $2::uuid[], $3::boolean[]) WITH ORDINALITY AS v (execution_id, job_id, degrades, n)
		CROSS JOIN LATERAL (
			SELECT * FROM live_jobs l WHERE l.execution_id = v.execution_id AND l.job_id = v.job_id OFFSET 0
		) l
		CROSS JOIN LATERAL (SELECT * FROM queue q WHERE q.id = v.execution_id OFFSET 0) q
		ORDER BY v.n`
	executions := column(leavers, func(l leaver) uuid.UUID { return l.execution })
	lockExecutions(t, executions)
	var all []departure
	t.each(func(rows pgx.Rows) error {
		var d departure
		err := rows.Scan(&d.execution, &d.job, &d.tenant, &d.hash, &d.startedAt, &d.tries, &d.provider, &d.payer, &d.settling,
			&d.staleAfter, &d.ephemeral, &d.webhook, &d.batch, &d.response, &d.degrades)
		all = append(all, d)
		return err
	}, query, executions, column(leavers, func(l leaver) uuid.UUID { return l.job }),
		column(leavers, func(l leaver) bool { return l.degrades }))
	return all, t.flush(ctx)
}

// emptied returns which of the executions have no other live jobs than those that
// end.
func emptied(ctx context.Context, t *txn, executions []uuid.UUID, ends []jobEnd) ([]uuid.UUID, error) {
	const query = `
		SELECT v.id FROM unnest($1::uuid[]) AS v (id)
		WHERE (SELECT true FROM live_jobs l WHERE l.execution_id = v.id AND l.job_id <> ALL ($2::uuid[]) LIMIT 1) IS NULL`
	var ids []uuid.UUID
	t.each(func(rows pgx.Rows) error {
		var id uuid.UUID
		err := rows.Scan(&id)
		ids = append(ids, id)
		return err
	}, query, executions, column(ends, func(e jobEnd) uuid.UUID { return e.job }))
	return ids, t.flush(ctx)
}

// goOn removes the executions that have no live job left, and returns those that
// it stopped, as last released. The others are ordered by the jobs that stay; if
// the payer left, the oldest of them pays.
func goOn(ctx context.Context, t *txn, ids []uuid.UUID) ([]jobs.Task, error) {
	const abandon = `
		WITH gone AS (
			DELETE FROM queue q WHERE q.id = ANY ($1::uuid[])
				AND (SELECT true FROM live_jobs l WHERE l.execution_id = q.id LIMIT 1) IS NULL
			RETURNING q.id, q.fence, q.provider, q.priority, q.settling
		), released AS (
			DELETE FROM releases r USING gone WHERE r.execution_id = gone.id AND r.execution_id = ANY ($1)
			RETURNING r.execution_id, r.provider, r.priority
		)
		SELECT gone.id, gone.fence, coalesce(released.provider, gone.provider), coalesce(released.priority, gone.priority)
		FROM gone LEFT JOIN released ON released.execution_id = gone.id
		WHERE NOT gone.settling`
	const reorder = `
		UPDATE queue q SET deadline = s.deadline, stop_at = s.stop_at, priority = s.priority,
			degradable = s.degradable,
			payer_job_id = CASE WHEN s.payer_stays THEN q.payer_job_id ELSE s.oldest END
		FROM queue old CROSS JOIN LATERAL (
			SELECT min(l.deadline) AS deadline, max(l.deadline) AS stop_at, min(l.priority) AS priority,
				bool_and(l.on_unavailable = 2) AS degradable,
				bool_or(l.job_id = old.payer_job_id) AS payer_stays, (array_agg(l.job_id ORDER BY l.job_id))[1] AS oldest
			FROM live_jobs l WHERE l.execution_id = old.id
		) s
		WHERE q.id = old.id AND old.id = ANY ($1::uuid[]) AND q.id = ANY ($1) AND NOT q.settling AND s.oldest IS NOT NULL`
	var stopped []jobs.Task
	t.each(appendTask(&stopped), abandon, ids)
	t.exec(reorder, ids)
	return stopped, t.flush(ctx)
}
