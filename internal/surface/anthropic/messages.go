package anthropic

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/canonical"
	"github.com/penstock-dev/penstock/providers"
)

// createMessage is POST /v1/messages: the request becomes a job of high priority, and
// its answer is waited for, or streamed.
func (s *Surface) createMessage(x *exchange) error {
	ctx, leave, err := x.Server.Wait()
	if err != nil {
		return err
	}
	defer leave()
	job, streams, err := s.begin(x)
	if err != nil {
		return err
	}
	if streams {
		return s.stream(ctx, x, job)
	}
	if job, err = surface.Await(ctx, x.r, s.cfg.Jobs, job); err != nil {
		return err
	}
	if job.Status != jobs.StatusSucceeded || len(job.Result) == 0 {
		x.failJob(job)
		return nil
	}
	x.Aborted = surface.WriteRaw(x.w, http.StatusOK, job.Result) != nil
	return nil
}

// begin reads the request and makes it a job. It says whether the answer is to be
// streamed.
func (s *Surface) begin(x *exchange) (job jobs.Job, streams bool, err error) {
	body, done, err := x.Server.ReadBody()
	if err != nil {
		return jobs.Job{}, false, err
	}
	defer done()
	var asked struct {
		Stream json.RawMessage `json:"stream"`
	}
	_ = json.Unmarshal(body, &asked) // what is no object is refused as a request
	if asked.Stream != nil && json.Unmarshal(asked.Stream, &streams) != nil {
		return jobs.Job{}, false, jobs.Invalid("/stream", "must be true or false")
	}
	job, err = s.submit(x, jobs.NewJob{
		Tenant: x.Tenant, Endpoint: providers.Messages, Request: body, Priority: jobs.PriorityHigh,
		Timeout: s.cfg.Timeout,
	})
	return job, streams, err
}

// submit makes the job of a request, or finds the one that it repeats.
func (s *Surface) submit(x *exchange, n jobs.NewJob) (jobs.Job, error) {
	ctx, cancel := x.storeContext()
	defer cancel()
	if doc, err := canonical.JSON(n.Request); err == nil { // else it is refused, with the reason
		n.Fingerprint = sha256.Sum256(doc)
	}
	return surface.Submit(ctx, x.w, x.r, s.cfg.Jobs, n)
}

// countTokens is POST /v1/messages/count_tokens. It is an estimate: providers count
// differently, and none is asked.
func (s *Surface) countTokens(x *exchange) error {
	body, done, err := x.Server.ReadBody()
	if err != nil {
		return err
	}
	defer done()
	var asked struct {
		Messages []struct{} `json:"messages"` // which are not looked at
	}
	if json.Unmarshal(body, &asked) != nil || len(asked.Messages) == 0 {
		return jobs.Invalid("/messages", "must be an array with at least one message")
	}
	x.write(http.StatusOK, map[string]int64{"input_tokens": s.cfg.InputTokens(providers.Messages, body)})
	return nil
}
