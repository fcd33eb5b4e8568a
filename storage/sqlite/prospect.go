package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// What selectProspect counts, of the executions of q's tenant and line: those
// of a priority, those before q in the index, and releases.
const (
	ofPriority = `
		SELECT count(*) FROM (
			SELECT 1 FROM queue a
			WHERE a.route = q.route AND a.use_case = q.use_case AND a.tenant = q.tenant AND a.parked_until = 0 AND a.priority = `
	beforeOwn = `
		SELECT count(*) FROM (
			SELECT 1 FROM queue a
			WHERE a.route = q.route AND a.use_case = q.use_case AND a.priority = q.priority AND a.tenant = q.tenant AND a.parked_until = 0
				AND (a.deadline, a.id) < (q.deadline, q.id) LIMIT +?3)`
	ofReleases = `
		SELECT count(*) FROM releases r CROSS JOIN queue a ON a.id = r.execution_id
		WHERE r.tenant = q.tenant AND a.route = q.route AND a.use_case = q.use_case`

	selectProspect = `
		SELECT q.priority, q.visible_at, mine.execution_id IS NOT NULL,
			CASE WHEN mine.execution_id IS NULL THEN
				iif(q.priority > -1, (` + ofPriority + `-1 LIMIT +?3)), 0)
				+ iif(q.priority > 0, (` + ofPriority + `0 LIMIT +?3)), 0)
				- (` + ofReleases + ` AND r.worker IS NOT NULL AND a.priority < q.priority)
			ELSE
				(` + ofReleases + ` AND r.worker IS NULL AND r.priority < mine.priority)
			END,
			CASE WHEN mine.execution_id IS NULL THEN
				(` + beforeOwn + `)
				- (` + ofReleases + ` AND r.worker IS NOT NULL AND a.priority = q.priority
					AND (a.deadline, a.id) < (q.deadline, q.id))
				+ (` + ofReleases + ` AND r.worker IS NULL AND a.priority = q.priority
					AND (a.deadline, a.id) > (q.deadline, q.id))
			ELSE
				(` + ofReleases + ` AND r.worker IS NULL AND r.priority = mine.priority
					AND (r.released_at, a.deadline, a.id) < (mine.released_at, q.deadline, q.id))
			END,
			coalesce(f.rate, 0), coalesce(f.run_us, 0), coalesce(f.waiting_on, ''), coalesce(w.run_us, 0), coalesce(w.waiting_on, ''),
			(SELECT json_group_array(json_object('rate', g.rate, 'left', g.queued)) FROM backlogs g
				WHERE g.pool = f.pool AND g.tenant <> '' AND g.until > ?2
					AND (g.tenant, g.route, g.use_case, g.low) <> (f.tenant, f.route, f.use_case, f.low))
		FROM queue q
		LEFT JOIN releases mine ON mine.execution_id = q.id
		LEFT JOIN backlogs f ON f.tenant = q.tenant AND f.route = q.route AND f.use_case = q.use_case
			AND f.low = (q.priority > 0) AND f.until > ?2
		LEFT JOIN backlogs w ON w.tenant = '' AND w.route = q.route AND w.use_case = q.use_case AND w.low = 0 AND w.until > ?2
		WHERE q.id = ?1 AND NOT q.settling AND mine.worker IS NULL`
)

// Prospect tells what an execution has before it: see [jobs.ReadStore].
func (s *Store) Prospect(ctx context.Context, execution uuid.UUID, now time.Time) (jobs.Prospect, error) {
	return read(ctx, s, "see what is before a job", func(ctx context.Context, q *statements) (jobs.Prospect, error) {
		var p jobs.Prospect
		var visibleAt, run, routeRun int64
		var rivals []byte
		err := q.row(ctx, selectProspect, id(execution), micros(now), jobs.MaxAhead).
			Scan(&p.Priority, &visibleAt, &p.Released, &p.Above, &p.Own, &p.Flow.Rate, &run, &p.Flow.WaitingOn, &routeRun,
				&p.Closed, &rivals)
		if errors.Is(err, sql.ErrNoRows) {
			return jobs.Prospect{}, jobs.ErrNotFound
		}
		if visibleAt > micros(now) && visibleAt < never {
			p.RunAt = when(visibleAt)
		}
		p.Flow.Low = p.Priority == jobs.PriorityLow
		p.Flow.Run, p.Run = time.Duration(run)*time.Microsecond, time.Duration(routeRun)*time.Microsecond
		if err == nil {
			p.Rivals, err = rivalsOf(rivals)
		}
		return p, err
	})
}

// rivalsOf reads pairs of rate and what is left.
func rivalsOf(pairs []byte) (all []jobs.Rival, err error) {
	var rows []struct {
		Rate float64 `json:"rate"`
		Left int     `json:"left"`
	}
	if err := json.Unmarshal(pairs, &rows); err != nil {
		return nil, fmt.Errorf("read flows: %w", err)
	}
	for _, r := range rows {
		all = append(all, jobs.Rival(r))
	}
	return all, nil
}

// SetFlows replaces what is known of how backlogs move: see
// [jobs.DispatchStore].
func (s *Store) SetFlows(ctx context.Context, flows []jobs.Flow, until time.Time) error {
	_, err := change(ctx, s, "tell how backlogs move", func(ctx context.Context, t *statements) (struct{}, error) {
		if _, err := t.exec(ctx, `DELETE FROM backlogs`); err != nil {
			return struct{}{}, err
		}
		for _, f := range flows {
			left, err := leftOf(ctx, t, f, jobs.CountedOf(len(flows)))
			if err != nil {
				return struct{}{}, err
			}
			_, err = t.exec(ctx, `
				INSERT INTO backlogs (tenant, route, use_case, low, pool, rate, run_us, waiting_on, until, queued)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				f.Tenant, f.Route, f.UseCase, f.Low, f.Pool, f.Rate, f.Run.Microseconds(), string(f.WaitingOn), micros(until), left)
			if err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}

// leftOf counts what a backlog has left.
func leftOf(ctx context.Context, t *statements, f jobs.Flow, most int) (left int, err error) {
	if f.Tenant == "" {
		return 0, nil
	}
	for _, priority := range jobs.Priorities() {
		if (priority == jobs.PriorityLow) != f.Low {
			continue
		}
		var n int
		err := t.row(ctx, `
			SELECT count(*) FROM (
				SELECT 1 FROM queue WHERE route = ? AND use_case = ? AND priority = ? AND tenant = ? AND parked_until = 0
					AND visible_at < ?
				LIMIT +?)`,
			f.Route, f.UseCase, int(priority), f.Tenant, int64(never), most).Scan(&n)
		if err != nil {
			return 0, err
		}
		left += n
	}
	if left >= most {
		return math.MaxInt, nil
	}
	return left, nil
}
