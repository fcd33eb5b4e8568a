package sealed

import (
	"context"
	"errors"

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
	p := place{tenant: j.Tenant, purpose: resultBody, execution: j.ExecutionID}
	result, err := s.open(ctx, p, j.Result)
	if erased, ok := errors.AsType[*erasedError](err); ok {
		gone := refusal(erased)
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
	opened.Message, err = s.openText(ctx, place{tenant: j.Tenant, purpose: message, execution: j.ExecutionID}, opened.Message)
	if why := refusal(err); why.Code != "" {
		opened.Message, err = "the message cannot be told: "+why.Message, nil
	}
	return &opened, err
}

// Request opens the request: see [jobs.ReadStore]. One that was erased is an
// *[jobs.Error] with code [jobs.CodeErased].
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
	r.Body, err = s.open(ctx, place{tenant: tenant, purpose: requestBody, execution: j.ExecutionID}, r.Body)
	if erased, ok := errors.AsType[*erasedError](err); ok {
		return jobs.Request{}, &jobs.Error{Code: jobs.CodeErased, Message: "the request was " + erased.Error()}
	}
	if err != nil {
		return jobs.Request{}, err
	}
	return r, nil
}

// Calls opens partial answers: see [jobs.ReadStore]. Those that were erased are
// left out.
func (s *Store) Calls(ctx context.Context, tenant string, id uuid.UUID) ([]jobs.Call, error) {
	calls, err := s.Store.Calls(ctx, tenant, id)
	if err != nil {
		return nil, err
	}
	for i, c := range calls {
		p := place{tenant: c.Tenant, purpose: partial, execution: c.Execution, call: c.ID}
		calls[i].Partial, err = s.openText(ctx, p, c.Partial)
		if _, ok := errors.AsType[*erasedError](err); err != nil && !ok {
			return nil, err
		}
	}
	return calls, nil
}
