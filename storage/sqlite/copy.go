package sqlite

import (
	"context"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// copyFresh ends the job at once with the newest result of its hash that is
// younger than MaxAge. It reports false if there is none.
func copyFresh(ctx context.Context, t *statements, sub jobs.Submission) (jobs.Submitted, bool, error) {
	j := sub.Job
	var finished int64
	ok, err := found(t.row(ctx, `
		SELECT execution_id, finished_at, tries, provider FROM results
		WHERE hash = ? AND tenant = ? AND finished_at > ? AND `+copyable+`
		ORDER BY finished_at DESC LIMIT 1`,
		j.RequestHash, j.Tenant, micros(j.CreatedAt.Add(-sub.MaxAge))).
		Scan(&j.ExecutionID, &finished, &j.Tries, &j.Provider))
	if err != nil || !ok {
		return jobs.Submitted{}, false, err
	}
	// The clock of whoever finished it may be ahead of ours.
	j.Age = max(0, j.CreatedAt.Sub(when(finished)).Truncate(time.Microsecond))
	j.Status, j.Cached, j.FinishedAt, j.CostUSD = jobs.StatusSucceeded, true, j.CreatedAt, new(jobs.USD)
	if err := insertJob(ctx, t, j); err != nil {
		return jobs.Submitted{}, false, err
	}
	if err := insertDrop(ctx, t, j, j.FinishedAt); err != nil {
		return jobs.Submitted{}, false, err
	}
	if err := insertEvents(ctx, t, j); err != nil {
		return jobs.Submitted{}, false, err
	}
	j, err = jobByID(ctx, t, j.Tenant, j.ID)
	return jobs.Submitted{Job: j}, err == nil, err
}
