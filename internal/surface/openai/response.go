package openai

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// ours are the fields of a request to Responses that are Penstock's affair: how the
// answer comes, and whether it is kept.
var ours = []string{"background", "store", "stream", "stream_options"}

// respond is POST /v1/responses.
func (s *Surface) respond(x *exchange) error {
	q, done, err := s.read(x, providers.Responses)
	if err != nil {
		return err
	}
	if q.background && !q.stream {
		defer done()
		return s.respondLater(x, q)
	}
	ctx, leave, err := x.caller.Server.Wait()
	if err != nil {
		done()
		return err
	}
	defer leave()
	job, err := s.submit(x, s.responseJob(x, q))
	done()
	if err != nil {
		return err
	}
	if q.stream {
		return s.streamResponse(ctx, x, asked{job: job, request: q.body}, nothingTold)
	}
	if job, err = surface.Await(ctx, x.r, s.cfg.Jobs, job); err != nil {
		return err
	}
	if job.Status != jobs.StatusSucceeded || len(job.Result) == 0 {
		return errorOfJob(job)
	}
	return s.writeResponse(ctx, x, asked{job: job, request: q.body})
}

// respondLater answers at once with the response as it is then.
func (s *Surface) respondLater(x *exchange, q request) error {
	job, err := s.submit(x, s.responseJob(x, q))
	if err != nil {
		return err
	}
	return s.writeResponse(x.r.Context(), x, asked{job: job, request: q.body})
}

// responseJob is the job of a response. One in the background has the priority and the
// time of any job, which is how it is told from others later; its end is told to webhook
// endpoints as that of a response.
func (s *Surface) responseJob(x *exchange, q request) jobs.NewJob {
	n := q.job(x.caller.Tenant)
	if q.background {
		n.Priority, n.Response = jobs.PriorityNormal, true
	} else {
		n.Timeout = s.cfg.Timeout
	}
	return n
}

// response is GET /v1/responses/{id}, with stream=true as it is made.
func (s *Surface) response(x *exchange) error {
	query := x.r.URL.Query()
	stream, err := wantsStream(x)
	if err != nil {
		return err
	}
	after := int64(nothingTold)
	if query.Has("starting_after") {
		if after, err = strconv.ParseInt(query.Get("starting_after"), 10, 64); err != nil || after < 0 {
			return jobs.Invalid("/starting_after", "must be the sequence_number of an event")
		}
	}
	a, err := s.find(x)
	if err != nil {
		return err
	}
	if !stream {
		return s.writeResponse(x.r.Context(), x, a)
	}
	ctx, leave, err := x.caller.Server.Wait()
	if err != nil {
		return err
	}
	defer leave()
	a.follows = true
	return s.streamResponse(ctx, x, a, after)
}

// wantsStream reads whether the response is asked for as a stream: in the query, or as
// openai-go has it in a body.
func wantsStream(x *exchange) (bool, error) {
	if text := x.r.URL.Query().Get("stream"); text != "" {
		stream, err := strconv.ParseBool(text)
		if err != nil {
			return false, jobs.Invalid("/stream", "must be true or false")
		}
		return stream, nil
	}
	const enough = 1 << 10
	body, err := io.ReadAll(x.caller.Server.Upload(enough))
	if err != nil || len(body) == 0 {
		return false, err
	}
	var asked struct {
		Stream bool `json:"stream"`
	}
	if json.Unmarshal(body, &asked) != nil {
		return false, jobs.Invalid("", "the body must be a JSON object with stream, or none")
	}
	return asked.Stream, nil
}

// find returns the response that the path names: a job of Responses, and what it asks
// for.
func (s *Surface) find(x *exchange) (asked, error) {
	ctx, cancel := s.storeContext(x.r.Context())
	defer cancel()
	job, err := s.findJob(ctx, x)
	if err != nil {
		return asked{}, err
	}
	r, err := s.cfg.Jobs.Request(ctx, job.Tenant, job.ID)
	switch {
	case errors.Is(err, jobs.ErrNotFound) || !job.DroppedAt.IsZero():
		return asked{}, errNoResponse(x)
	case err != nil:
		return asked{}, err
	}
	return asked{job: job, request: r.Body}, nil
}

func (s *Surface) findJob(ctx context.Context, x *exchange) (jobs.Job, error) {
	id, err := surface.ParseID(x.r.PathValue("id"))
	if err != nil {
		return jobs.Job{}, errNoResponse(x)
	}
	x.caller.Job = id
	job, err := s.cfg.Jobs.Job(ctx, x.caller.Tenant, id)
	if errors.Is(err, jobs.ErrNotFound) || err == nil && job.Endpoint != providers.Responses {
		return jobs.Job{}, errNoResponse(x)
	}
	return job, err
}

func errNoResponse(x *exchange) error {
	return &jobs.Error{
		Code: jobs.CodeNotFound, Message: "no response has the id '" + shorten(x.r.PathValue("id"), maxParam) + "'",
	}
}

// cancelResponse is POST /v1/responses/{id}/cancel. One that has ended is answered as it
// ended.
func (s *Surface) cancelResponse(x *exchange) error {
	a, err := s.find(x)
	if err != nil {
		return err
	}
	ctx, cancel := s.storeContext(x.r.Context())
	defer cancel()
	if a.job, err = s.cfg.Jobs.Cancel(ctx, a.job.Tenant, a.job.ID); err != nil {
		return err
	}
	return s.writeResponse(ctx, x, a)
}

// deleteResponse is DELETE /v1/responses/{id}. One that has not ended is cancelled first.
func (s *Surface) deleteResponse(x *exchange) error {
	ctx, cancel := s.storeContext(x.r.Context())
	defer cancel()
	job, err := s.findJob(ctx, x)
	if err != nil {
		return err
	}
	if !job.Status.Terminal() {
		if _, err := s.cfg.Jobs.Cancel(ctx, job.Tenant, job.ID); err != nil {
			return err
		}
	}
	if err := s.cfg.Jobs.Delete(ctx, job.Tenant, job.ID); err != nil {
		return err
	}
	return surface.WriteJSON(x.w, http.StatusOK, struct {
		ID      string `json:"id"`
		Object  string `json:"object"`
		Deleted bool   `json:"deleted"`
	}{surface.ResponseID(job.ID), "response", true})
}

// writeResponse answers with the response as it is.
func (s *Surface) writeResponse(ctx context.Context, x *exchange, a asked) error {
	o, err := a.object()
	if err != nil {
		return err
	}
	if err := surface.WriteRaw(x.w, http.StatusOK, o.encode()); err != nil {
		return x.broken(err)
	}
	if a.job.Status.Terminal() {
		s.delivered(ctx, x, a.job)
	}
	return nil
}

// asked is a job of Responses, and the request that it was made of.
type asked struct {
	job     jobs.Job
	request json.RawMessage
	// follows says that it is not the request that made the job which looks at it.
	follows bool
}

// background reports whether nobody waited for it in the request that made it.
func (a asked) background() bool { return a.job.Priority != jobs.PriorityHigh }
