package sealed

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Submit seals the request: see [jobs.SubmitStore]. Which key sealed it is kept
// beside it.
func (s *Store) Submit(ctx context.Context, sub jobs.Submission) (jobs.Submitted, error) {
	p := requestOf(sub.Job.Tenant, sub.Execution)
	var err error
	if sub.Request.Body, sub.Request.KeyID, err = s.seal(ctx, p, sub.Request.Body); err != nil {
		return jobs.Submitted{}, err
	}
	done, err := s.Store.Submit(ctx, sub)
	if err != nil {
		return jobs.Submitted{}, err
	}
	done.Job, err = s.openJob(ctx, done.Job)
	return done, err
}

// Replay opens the job: see [jobs.SubmitStore].
func (s *Store) Replay(ctx context.Context, tenant string, i jobs.Idempotency, at time.Time) (jobs.Job, error) {
	j, err := s.Store.Replay(ctx, tenant, i, at)
	if err != nil {
		return jobs.Job{}, err
	}
	return s.openJob(ctx, j)
}

// Cancel opens the job: see [jobs.SubmitStore].
func (s *Store) Cancel(
	ctx context.Context, tenant string, id uuid.UUID, at time.Time,
) (jobs.Job, []jobs.Task, error) {
	j, stopped, err := s.Store.Cancel(ctx, tenant, id, at)
	if err != nil {
		return jobs.Job{}, stopped, err
	}
	j, err = s.openJob(ctx, j)
	return j, stopped, err
}
