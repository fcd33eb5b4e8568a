package sqlite

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// unservedRoutes lists the routes that have jobs for GiveUp, stepping from one to
// the next in their index.
const unservedRoutes = `
	WITH RECURSIVE step(route) AS (
		SELECT min(unserved_route) FROM live_jobs WHERE unserved_route > ''
		UNION ALL
		SELECT (SELECT min(unserved_route) FROM live_jobs WHERE unserved_route > '' AND unserved_route > step.route)
		FROM step WHERE route IS NOT NULL
	)
	SELECT route FROM step WHERE route IS NOT NULL`

// allDegrade, with the id of an execution and a parenthesis behind it, says that
// none of its live jobs would do anything else.
const allDegrade = `NOT EXISTS (SELECT 1 FROM live_jobs l WHERE l.on_unavailable <> 2 AND l.execution_id = `

// allLookedAt says that, and that no stored result answers any of them: GiveUp has
// looked.
const allLookedAt = `NOT EXISTS (
	SELECT 1 FROM live_jobs l WHERE (l.on_unavailable <> 2 OR l.unserved_route > '') AND l.execution_id = `

// degradable reports whether all live jobs of the execution would degrade.
func degradable(ctx context.Context, t *statements, execution uuid.UUID) (ok bool, err error) {
	return ok, t.row(ctx, `SELECT `+allDegrade+`?)`, id(execution)).Scan(&ok)
}

// unserved is a job that GiveUp looks at.
type unserved struct {
	due
	wants jobs.OnUnavailable
}

// GiveUp does what jobs want that cannot be served: see [jobs.DispatchStore]. Most
// looks find none: those do not wait for the one writer.
func (s *Store) GiveUp(ctx context.Context, u jobs.Unserved) (jobs.GivenUp, error) {
	list := func(ctx context.Context, q *statements) ([]unserved, error) { return unservedJobs(ctx, q, u) }
	if some, err := read(ctx, s, "look for unserved jobs", list); err != nil || len(some) == 0 {
		return jobs.GivenUp{}, err
	}
	return change(ctx, s, "give up", func(ctx context.Context, t *statements) (got jobs.GivenUp, err error) {
		some, err := list(ctx, t)
		if err != nil {
			return jobs.GivenUp{}, err
		}
		for _, group := range byExecution(some, func(j unserved) uuid.UUID { return j.execution }) {
			ended, err := giveUp(ctx, t, group, u)
			if err != nil {
				return jobs.GivenUp{}, err
			}
			got.Ended = append(got.Ended, ended...)
		}
		got.More = len(some) == u.Limit
		return got, nil
	})
}

func unservedJobs(ctx context.Context, q *statements, u jobs.Unserved) ([]unserved, error) {
	return all(ctx, q, func(row scanner) (j unserved, err error) {
		return j, row.Scan(&j.execution, &j.job, &j.wants)
	}, `
		SELECT l.execution_id, l.job_id, l.on_unavailable FROM live_jobs l CROSS JOIN queue q ON q.id = l.execution_id
		WHERE l.unserved_route > '' AND l.unserved_route = ? AND l.deadline > ? AND q.visible_at < ? AND NOT q.settling
		ORDER BY l.job_id LIMIT +?`, u.Route, micros(u.At), int64(never), u.Limit)
}

// giveUp returns which jobs, all of one execution, have ended. Those that leave it
// leave at once: what stays is looked at after each departure.
func giveUp(ctx context.Context, t *statements, list []unserved, u jobs.Unserved) (ended []uuid.UUID, err error) {
	var fail, degrade []uuid.UUID
	for _, j := range list {
		if j.wants == jobs.OnUnavailableDegrade {
			degrade = append(degrade, j.job)
		} else {
			fail = append(fail, j.job)
		}
	}
	how := end{status: jobs.StatusFailed, failure: u.Why, at: micros(u.At)}
	if err := depart(ctx, t, list[0].execution, fail, how); err != nil {
		return nil, err
	}
	answered, err := answerable(ctx, t, list[0].execution, degrade)
	if err != nil {
		return nil, err
	}
	how.degraded = true
	return append(fail, answered...), depart(ctx, t, list[0].execution, answered, how)
}

// answerable returns the jobs if a stored result answers them. If none does they
// are not looked at again.
func answerable(ctx context.Context, t *statements, execution uuid.UUID, degrade []uuid.UUID) ([]uuid.UUID, error) {
	if len(degrade) == 0 {
		return nil, nil
	}
	e, err := mustExecution(ctx, t, execution)
	if err != nil {
		return nil, err
	}
	a, err := e.stored(ctx, t, anyAge)
	if err != nil || a.execution != nil {
		return degrade, err
	}
	for _, job := range degrade {
		if err := e.lookNoMore(ctx, t, job); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// depart ends jobs of an execution, which may go on without them.
func depart(ctx context.Context, t *statements, execution uuid.UUID, leaving []uuid.UUID, how end) error {
	if len(leaving) == 0 {
		return nil
	}
	e, err := mustExecution(ctx, t, execution)
	if err != nil {
		return err
	}
	_, err = e.leave(ctx, t, leaving, how)
	return err
}

// mustExecution returns an execution that has live jobs.
func mustExecution(ctx context.Context, t *statements, id uuid.UUID) (execution, error) {
	e, ok, err := executionByID(ctx, t, id)
	if err == nil && !ok {
		err = fmt.Errorf("execution %s has live jobs and is not there", id)
	}
	return e, err
}

// lookNoMore notes that nothing stored answers the job.
func (e execution) lookNoMore(ctx context.Context, t *statements, job uuid.UUID) error {
	_, err := t.exec(ctx, `UPDATE live_jobs SET unserved_route = '' WHERE execution_id = ? AND job_id = ?`, id(e.id), id(job))
	return err
}
