package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Cancel ends the job as cancelled unless it has ended: see
// [jobs.SubmitStore].
func (s *Store) Cancel(
	ctx context.Context, tenant string, id uuid.UUID, at time.Time,
) (job jobs.Job, stopped []jobs.Task, err error) {
	job, err = s.Job(ctx, tenant, id)
	if err != nil || job.Status.Terminal() {
		return job, nil, err
	}
	err = s.write(ctx, "cancel a job", func(ctx context.Context, t *txn) error {
		l, err := leave(ctx, t, []leaver{{execution: job.ExecutionID, job: id}},
			jobs.StatusCancelled, errCancelled(), at, true)
		if err != nil {
			return err
		}
		stopped = l.stopped
		viewJobs(t, []uuid.UUID{id}, func(j jobs.Job) { job = j })
		return nil
	})
	if err != nil {
		return jobs.Job{}, nil, err
	}
	return job, stopped, nil
}
