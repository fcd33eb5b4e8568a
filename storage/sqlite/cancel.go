package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// cancelled is what became of a cancellation.
type cancelled struct {
	job     jobs.Job
	stopped []jobs.Task
	// settle says that the job has an outcome that it has not been given yet.
	settle bool
}

// Cancel ends the job: see [jobs.SubmitStore]. A job whose execution has ended,
// but that has not been told, gets its outcome instead.
func (s *Store) Cancel(
	ctx context.Context, tenant string, jobID uuid.UUID, at time.Time,
) (jobs.Job, []jobs.Task, error) {
	c, err := s.cancel(ctx, tenant, jobID, at)
	if err == nil && c.settle {
		if err := s.settle(ctx, c.job.ExecutionID, new([]uuid.UUID)); err != nil {
			return jobs.Job{}, nil, err
		}
		c, err = s.cancel(ctx, tenant, jobID, at)
	}
	return c.job, c.stopped, err
}

func (s *Store) cancel(ctx context.Context, tenant string, jobID uuid.UUID, at time.Time) (cancelled, error) {
	return change(ctx, s, "cancel a job", func(ctx context.Context, t *statements) (cancelled, error) {
		j, err := jobByID(ctx, t, tenant, jobID)
		if err != nil || j.Status.Terminal() {
			return cancelled{job: j}, err
		}
		e, ok, err := executionByID(ctx, t, j.ExecutionID)
		if err != nil {
			return cancelled{}, err
		}
		if !ok {
			return cancelled{}, fmt.Errorf("live job %s has no execution", j.ID)
		}
		if e.settling {
			return cancelled{job: j, settle: true}, nil
		}
		abandoned, err := e.leave(ctx, t, []uuid.UUID{j.ID}, end{
			status: jobs.StatusCancelled, at: micros(at),
			failure: jobs.JobError{Code: jobs.CodeCancelled, Message: messageCancelled},
		})
		if err != nil {
			return cancelled{}, err
		}
		var c cancelled
		if abandoned {
			c.stopped = []jobs.Task{e.task()}
		}
		c.job, err = jobByID(ctx, t, tenant, jobID)
		return c, err
	})
}
