package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// due is a job whose deadline has passed.
type due struct{ execution, job uuid.UUID }

// Expire ends jobs whose deadline has passed: see [jobs.ControlStore]. Most
// looks find none: those do not wait for the one writer.
func (s *Store) Expire(ctx context.Context, now time.Time, limit int) (jobs.Expired, error) {
	next, err := read(ctx, s, "look for expired jobs", nextDeadline)
	if err != nil || next == 0 || next > micros(now) {
		return jobs.Expired{Next: when(next)}, err
	}
	return change(ctx, s, "expire jobs", func(ctx context.Context, t *statements) (jobs.Expired, error) {
		list, err := overdue(ctx, t, now, limit)
		if err != nil {
			return jobs.Expired{}, err
		}
		var expired jobs.Expired
		for _, group := range byExecution(list, func(d due) uuid.UUID { return d.execution }) {
			if err := expire(ctx, t, group, now, &expired); err != nil {
				return jobs.Expired{}, err
			}
		}
		return expired, nil
	})
}

// nextDeadline returns the earliest deadline of a job that has no outcome yet;
// zero when there is none.
func nextDeadline(ctx context.Context, q *statements) (deadline int64, err error) {
	_, err = found(q.row(ctx, `
		SELECT l.deadline FROM live_jobs l JOIN queue q ON q.id = l.execution_id
		WHERE l.deadline > 0 AND NOT q.settling ORDER BY l.deadline LIMIT 1`).Scan(&deadline))
	return deadline, err
}

// overdue lists the jobs whose deadline has passed, the first of them first.
func overdue(ctx context.Context, q *statements, now time.Time, limit int) ([]due, error) {
	return all(ctx, q, func(row scanner) (d due, err error) { return d, row.Scan(&d.execution, &d.job) }, `
		SELECT l.execution_id, l.job_id FROM live_jobs l JOIN queue q ON q.id = l.execution_id
		WHERE l.deadline <= ? AND NOT q.settling
		ORDER BY l.deadline LIMIT +?`, micros(now), limit)
}

// byExecution groups jobs by their executions, which keep their order.
func byExecution[J any](list []J, execution func(J) uuid.UUID) [][]J {
	var groups [][]J
	place := map[uuid.UUID]int{}
	for _, j := range list {
		i, ok := place[execution(j)]
		if !ok {
			i = len(groups)
			place[execution(j)] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], j)
	}
	return groups
}

// expire ends jobs of one execution.
func expire(ctx context.Context, t *statements, list []due, now time.Time, expired *jobs.Expired) error {
	e, ok, err := executionByID(ctx, t, list[0].execution)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("live job %s has no execution", list[0].job)
	}
	leaving := make([]uuid.UUID, len(list))
	for i, d := range list {
		leaving[i] = d.job
	}
	how := end{status: jobs.StatusExpired, failure: failureExpired, at: micros(now)}
	abandoned, err := e.leave(ctx, t, leaving, how)
	if err != nil {
		return err
	}
	expired.Ended = append(expired.Ended, leaving...)
	if abandoned {
		expired.Stopped = append(expired.Stopped, e.task())
	}
	return nil
}
