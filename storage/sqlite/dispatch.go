package sqlite

import (
	"context"

	"github.com/penstock-dev/penstock/jobs"
)

// Routes lists the lines that the dispatcher looks at: see [jobs.DispatchStore].
// It steps from line to line in the index, however many executions each has.
func (s *Store) Routes(ctx context.Context) ([]jobs.Line, error) {
	return read(ctx, s, "list routes", func(ctx context.Context, q *statements) ([]jobs.Line, error) {
		var lines []jobs.Line
		routes := make(map[string]bool)
		for last := (jobs.Line{}); ; {
			next, ok, err := nextLine(ctx, q, last)
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			lines, last, routes[next.Route] = append(lines, next), next, true
		}
		unserved, err := all(ctx, q, scanString, unservedRoutes)
		for _, route := range unserved {
			if !routes[route] {
				lines = append(lines, jobs.Line{Route: route})
			}
		}
		return lines, err
	})
}

// nextLine returns the first line after the given one: of its route, or of the
// next.
func nextLine(ctx context.Context, q *statements, last jobs.Line) (next jobs.Line, ok bool, err error) {
	ok, err = found(q.row(ctx, `
		SELECT route, use_case FROM queue WHERE route = ? AND use_case > ? AND parked_until = 0
		ORDER BY use_case LIMIT 1`, last.Route, last.UseCase).Scan(&next.Route, &next.UseCase))
	if err != nil || ok {
		return next, ok, err
	}
	ok, err = found(q.row(ctx, `
		SELECT route, use_case FROM queue WHERE route > ? AND parked_until = 0
		ORDER BY route, use_case LIMIT 1`, last.Route).Scan(&next.Route, &next.UseCase))
	return next, ok, err
}

func scanString(row scanner) (string, error) {
	var s string
	return s, row.Scan(&s)
}

// Ready lists executions that may be released: see [jobs.DispatchStore]. It
// steps from tenant to tenant in the index, so that a tenant with very many
// costs the others nothing.
func (s *Store) Ready(ctx context.Context, query jobs.ReadyQuery) ([]jobs.Candidate, error) {
	return read(ctx, s, "list what is ready", func(ctx context.Context, q *statements) ([]jobs.Candidate, error) {
		var ready []jobs.Candidate
		after := query.AfterTenant
		for range query.Tenants {
			tenant, ok, err := nextTenant(ctx, q, query, after)
			if err != nil || !ok {
				return ready, err
			}
			heads, err := headsOf(ctx, q, query, tenant)
			if err != nil {
				return nil, err
			}
			ready, after = append(ready, heads...), tenant
		}
		return ready, nil
	})
}

// nextTenant returns the first tenant after the given one that has something
// ready.
func nextTenant(ctx context.Context, q *statements, query jobs.ReadyQuery, after string) (string, bool, error) {
	var tenant string
	ok, err := found(q.row(ctx, `
		SELECT tenant FROM queue
		WHERE route = ? AND use_case = ? AND priority = ? AND tenant > ? AND parked_until = 0 AND visible_at <= ?`+only(query)+`
		ORDER BY tenant LIMIT 1`,
		query.Route, query.UseCase, int(query.Priority), after, micros(query.Now)).Scan(&tenant))
	return tenant, ok, err
}

func headsOf(ctx context.Context, q *statements, query jobs.ReadyQuery, tenant string) ([]jobs.Candidate, error) {
	return all(ctx, q, scanCandidate, `
		SELECT id, tenant, route, use_case, target, fence, priority, deadline, cost FROM queue
		WHERE route = ? AND use_case = ? AND priority = ? AND tenant = ? AND parked_until = 0 AND visible_at <= ?`+only(query)+`
		ORDER BY deadline, id LIMIT +?`,
		query.Route, query.UseCase, int(query.Priority), tenant, micros(query.Now), query.PerTenant)
}

// only is what a query selects beside what is ready.
func only(q jobs.ReadyQuery) string {
	if q.Degradable {
		return " AND degradable"
	}
	return ""
}

func scanCandidate(row scanner) (jobs.Candidate, error) {
	var c jobs.Candidate
	var deadline int64
	err := row.Scan(&c.Execution, &c.Tenant, &c.Route, &c.UseCase, &c.Target, &c.Fence, &c.Priority, &deadline, &c.Cost)
	c.Deadline = when(deadline)
	return c, err
}

// Outstanding counts releases: see [jobs.DispatchStore].
func (s *Store) Outstanding(ctx context.Context) ([]jobs.Outstanding, error) {
	return read(ctx, s, "count what is outstanding",
		func(ctx context.Context, q *statements) ([]jobs.Outstanding, error) {
			return all(ctx, q, func(row scanner) (jobs.Outstanding, error) {
				var o jobs.Outstanding
				return o, row.Scan(&o.Provider, &o.Model, &o.Tenant, &o.UseCase, &o.Count)
			}, `SELECT provider, model, tenant, use_case, count(*) FROM releases
				GROUP BY provider, model, tenant, use_case`)
		})
}
