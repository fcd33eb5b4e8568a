package sealed

import (
	"context"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Job opens the job: see [jobs.ReadStore].
func (s *Store) Job(ctx context.Context, tenant string, id uuid.UUID) (jobs.Job, error) {
	j, err := s.Store.Job(ctx, tenant, id)
	if err != nil {
		return jobs.Job{}, err
	}
	return s.openJob(ctx, j)
}

// Jobs opens the jobs: see [jobs.ReadStore].
func (s *Store) Jobs(ctx context.Context, q jobs.JobQuery) ([]jobs.Job, error) {
	list, err := s.Store.Jobs(ctx, q)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i], err = s.openJob(ctx, list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// openJob opens what is told of a job's end.
func (s *Store) openJob(ctx context.Context, j jobs.Job) (jobs.Job, error) {
	result, err := s.open(ctx, resultOf(j, resultBody), j.Result)
	if gone := refusal(err); gone.Code != "" {
		j.Result, j.Error = nil, &gone
		return j, nil
	}
	if err != nil {
		return jobs.Job{}, err
	}
	j.Result = result
	j.Error, err = s.openError(ctx, j)
	return j, err
}

// openError opens the message of a failure. One that cannot be read is no
// reason not to tell of the job.
func (s *Store) openError(ctx context.Context, j jobs.Job) (*jobs.JobError, error) {
	if j.Error == nil {
		return nil, nil
	}
	opened := *j.Error
	var err error
	opened.Message, err = s.openMessage(ctx, resultOf(j, message), opened.Message)
	return &opened, err
}

func (s *Store) openMessage(ctx context.Context, p place, text string) (string, error) {
	opened, err := s.openText(ctx, p, text)
	if why := refusal(err); why.Code != "" {
		return "the message cannot be told: " + why.Message, nil
	}
	return opened, err
}

// Request opens the request: see [jobs.ReadStore]. One that is gone is an
// *[jobs.Error] with code [jobs.CodeErased] or [jobs.CodeUnreadable].
func (s *Store) Request(ctx context.Context, tenant string, id uuid.UUID) (jobs.Request, error) {
	r, err := s.Store.Request(ctx, tenant, id)
	if err != nil {
		return jobs.Request{}, err
	}
	if _, sealed := keyOf(r.Body); !sealed {
		return r, nil
	}
	j, err := s.Store.Job(ctx, tenant, id)
	if err != nil {
		return jobs.Request{}, err
	}
	r.Body, err = s.open(ctx, requestOf(tenant, j.ExecutionID), r.Body)
	if gone := refusal(err); gone.Code != "" {
		return jobs.Request{}, &jobs.Error{Code: jobs.Code(gone.Code), Message: "the request: " + gone.Message}
	}
	if err != nil {
		return jobs.Request{}, err
	}
	return r, nil
}

// Calls opens partial answers: see [jobs.ReadStore]. Those that are gone are
// left out.
func (s *Store) Calls(ctx context.Context, tenant string, id uuid.UUID) ([]jobs.Call, error) {
	calls, err := s.Store.Calls(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	for i, c := range calls {
		calls[i].Partial, err = s.openText(ctx, partialOf(c), c.Partial)
		if err != nil && refusal(err).Code == "" {
			return nil, err
		}
	}
	return calls, nil
}
