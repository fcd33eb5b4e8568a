package sqlite

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// leave ends jobs of a live execution that goes on for the others. Their
// priority and deadlines go with them, and if the payer leaves, the next pays.
// When no others are left, the execution is abandoned, and leave reports true.
func (e execution) leave(ctx context.Context, t *statements, leaving []uuid.UUID, how end) (bool, error) {
	staleAfter := make([]int64, len(leaving))
	for i, job := range leaving {
		_, err := found(t.row(ctx, `
			DELETE FROM live_jobs WHERE execution_id = ? AND job_id = ? RETURNING stale_after`, id(e.id), id(job)).
			Scan(&staleAfter[i]))
		if err != nil {
			return false, err
		}
	}
	abandoned, err := e.adjust(ctx, t)
	if err != nil {
		return false, err
	}
	for i, job := range leaving {
		how.cost, how.staleAfter = new(jobs.USD), staleAfter[i]
		if how.degraded {
			how.staleAfter = anyAge
		}
		if abandoned {
			if how.cost, err = e.costOf(ctx, t, job); err != nil {
				return false, err
			}
		}
		if err := e.endJob(ctx, t, job, how); err != nil {
			return false, err
		}
	}
	if abandoned {
		return true, e.remove(ctx, t)
	}
	return false, nil
}

// adjust gives the execution the priority, deadlines and payer that its
// remaining jobs have. It reports true when none remain.
func (e execution) adjust(ctx context.Context, t *statements) (bool, error) {
	var remaining int
	var priority, deadline, stopAt, degradable *int64
	err := t.row(ctx, `
		SELECT count(*), min(priority), min(deadline), max(deadline), min(on_unavailable = ?)
		FROM live_jobs WHERE execution_id = ?`, int(jobs.OnUnavailableDegrade), id(e.id)).
		Scan(&remaining, &priority, &deadline, &stopAt, &degradable)
	if err != nil || remaining == 0 {
		return true, err
	}
	_, err = t.exec(ctx, `
		UPDATE queue SET priority = ?, deadline = ?, stop_at = ?, payer_job_id = (
			SELECT job_id FROM live_jobs WHERE execution_id = ?4 ORDER BY job_id <> ?5, job_id LIMIT 1), degradable = ?6
		WHERE id = ?4`,
		*priority, *deadline, *stopAt, id(e.id), id(e.payer), *degradable)
	return false, err
}
