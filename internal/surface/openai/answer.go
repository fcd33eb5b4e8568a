package openai

import (
	"context"
	"net/http"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// answer makes a job of the request and stays until it has ended: with the endpoint's
// own body, or the stream of it.
func (s *Surface) answer(x *exchange, endpoint string) error {
	ctx, leave, err := x.caller.Server.Wait()
	if err != nil {
		return err
	}
	defer leave()
	q, job, err := s.begin(x, endpoint)
	if err != nil {
		return err
	}
	if q.stream {
		return s.streamChat(ctx, x, q, job)
	}
	if job, err = surface.Await(ctx, x.r, s.cfg.Jobs, job); err != nil {
		return err
	}
	if job.Status != jobs.StatusSucceeded || len(job.Result) == 0 {
		return errorOfJob(job)
	}
	if err := surface.WriteRaw(x.w, http.StatusOK, job.Result); err != nil {
		return x.broken(err)
	}
	s.delivered(ctx, x, job)
	return nil
}

// begin reads the request and submits its job.
func (s *Surface) begin(x *exchange, endpoint string) (request, jobs.Job, error) {
	q, done, err := s.read(x, endpoint)
	if err != nil {
		return request{}, jobs.Job{}, err
	}
	defer done()
	n := q.job(x.caller.Tenant)
	n.Timeout = s.cfg.Timeout
	job, err := s.submit(x, n)
	q.body = nil // it is kept elsewhere now
	return q, job, err
}

// delivered notes that the caller has been given the answer. If that fails, it is kept
// as if nobody had been.
func (s *Surface) delivered(ctx context.Context, x *exchange, job jobs.Job) {
	if !job.Ephemeral {
		return
	}
	ctx, cancel := s.afterContext(ctx)
	defer cancel()
	x.caller.Failure = s.cfg.Jobs.Delivered(ctx, job)
}

// broken notes that the answer did not go out whole.
func (x *exchange) broken(err error) error {
	x.caller.Aborted, x.caller.Failure = true, err
	return nil
}
