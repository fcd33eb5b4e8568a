package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// readyQuery walks the index from tenant to tenant that has something ready, and
// takes the head of each: it reads as many rows as it returns, and those released
// in between, however many are queued or wait for a time.
var (
	readyQuery      = fmt.Sprintf(readyOf, "")
	degradableQuery = fmt.Sprintf(readyOf, " AND q.degradable")
)

const readyOf = `
	WITH RECURSIVE t (tenant, n) AS (
		(SELECT q.tenant, 1 FROM queue q
			WHERE q.route = $1 AND q.use_case = $7 AND q.priority = $2 AND q.tenant > $4 AND q.parked_until IS NULL AND q.visible_at <= $3%[1]s
			ORDER BY q.tenant LIMIT 1)
		UNION ALL
		SELECT next.tenant, t.n + 1
		FROM t CROSS JOIN LATERAL (
			SELECT q.tenant FROM queue q
			WHERE q.route = $1 AND q.use_case = $7 AND q.priority = $2 AND q.tenant > t.tenant AND q.parked_until IS NULL AND q.visible_at <= $3%[1]s
			ORDER BY q.tenant LIMIT 1
		) next
		WHERE t.n < $5
	)
	SELECT head.id, t.tenant, head.target, head.fence, head.deadline, head.cost
	FROM t CROSS JOIN LATERAL (
		SELECT q.id, q.target, q.fence, q.deadline, q.cost FROM queue q
		WHERE q.route = $1 AND q.use_case = $7 AND q.priority = $2 AND q.tenant = t.tenant AND q.parked_until IS NULL AND q.visible_at <= $3%[1]s
		ORDER BY q.deadline, q.id LIMIT $6
	) head
	ORDER BY t.n, head.deadline, head.id`

// Ready lists executions that may be released: see [jobs.DispatchStore].
func (s *Store) Ready(ctx context.Context, q jobs.ReadyQuery) (ready []jobs.Candidate, err error) {
	err = s.bounded(ctx, "list what is ready", func(ctx context.Context) error {
		query := readyQuery
		if q.Degradable {
			query = degradableQuery
		}
		rows, err := s.pool.Query(ctx, query,
			q.Route, int16(q.Priority), q.Now, q.AfterTenant, q.Tenants, q.PerTenant, q.UseCase)
		if err != nil {
			return err
		}
		ready, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (jobs.Candidate, error) {
			c := jobs.Candidate{Route: q.Route, UseCase: q.UseCase, Priority: q.Priority}
			err := row.Scan(&c.Execution, &c.Tenant, &c.Target, &c.Fence, &c.Deadline, &c.Cost)
			return c, err
		})
		return err
	})
	return ready, err
}

// routesQuery steps from line to line: to the next of the route, else to the first
// of the next.
const routesQuery = `
	WITH RECURSIVE r (route, use_case) AS (
		(SELECT q.route, q.use_case FROM queue q WHERE q.parked_until IS NULL ORDER BY q.route, q.use_case LIMIT 1)
		UNION ALL
		SELECT next.route, next.use_case FROM r CROSS JOIN LATERAL (
			SELECT q.route, q.use_case FROM queue q
			WHERE q.parked_until IS NULL AND (q.route, q.use_case) > (r.route, r.use_case)
			ORDER BY q.route, q.use_case LIMIT 1
		) next
	)
	SELECT route, use_case FROM r
	UNION ALL
	SELECT u.route, '' FROM (` + unservedRoutes + `) u WHERE u.route NOT IN (SELECT route FROM r)`

// Routes lists the lines that the dispatcher looks at: see [jobs.DispatchStore].
func (s *Store) Routes(ctx context.Context) (lines []jobs.Line, err error) {
	err = s.bounded(ctx, "list routes", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, routesQuery)
		if err != nil {
			return err
		}
		lines, err = pgx.CollectRows(rows, pgx.RowToStructByPos[jobs.Line])
		return err
	})
	return lines, err
}

// Outstanding counts what is released and not finished.
func (s *Store) Outstanding(ctx context.Context) (counts []jobs.Outstanding, err error) {
	const query = `
		SELECT provider, model, tenant, use_case, count(*) FROM releases
		GROUP BY provider, model, tenant, use_case ORDER BY provider, model, tenant, use_case`
	err = s.bounded(ctx, "count what is outstanding", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query)
		if err != nil {
			return err
		}
		counts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[jobs.Outstanding])
		return err
	})
	return counts, err
}
