package anthropic

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"time"

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
	if job, err = s.await(ctx, x, job); err != nil {
		return err
	}
	if job.Status != jobs.StatusSucceeded || len(job.Result) == 0 {
		x.failJob(job)
		return nil
	}
	x.Aborted = surface.WriteRaw(x.w, http.StatusOK, job.Result) != nil
	return nil
}

// late is how long after its deadline a job has ended at the latest, if the store is
// there.
const late = 15 * time.Second

// await returns the job once it has ended. The client may leave meanwhile, and the
// process stop: the job goes on, for the client's retry.
func (s *Surface) await(ctx context.Context, x *exchange, job jobs.Job) (jobs.Job, error) {
	if job.Status.Terminal() {
		return job, nil
	}
	job, err := s.cfg.Jobs.Wait(ctx, x.Tenant, job.ID, time.Until(job.Deadline)+late)
	switch {
	case err != nil || job.Status.Terminal():
		return job, err
	case ctx.Err() == nil:
		return job, jobs.Unavailable(context.DeadlineExceeded)
	default:
		return job, errStopping
	}
}

// errStopping is what those hear who are still there when the process stops.
var errStopping = &jobs.Error{Code: surface.CodeStopping, Message: "this process is about to stop; repeat the request"}

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
		Timeout: s.cfg.Timeout, NoDedupe: true,
	})
	return job, streams, err
}

// Retries of SDKs find what they repeat under a key that begins so, for so long. A
// caller's own key has no space.
const (
	syncKey = "penstock sync " + providers.Messages + " "
	shared  = 10 * time.Minute
)

// submit makes the job, or finds that which an SDK's retry repeats: whoever asks twice
// wants two answers, but an SDK's retry wants the answer that its first try was to have.
func (s *Surface) submit(x *exchange, n jobs.NewJob) (jobs.Job, error) {
	ctx, cancel := x.storeContext()
	defer cancel()
	if doc, err := canonical.JSON(n.Request); err == nil { // else it is refused, with the reason
		n.Fingerprint = sha256.Sum256(doc)
	}
	n.IdempotencyKey, n.Within = syncKey+hex.EncodeToString(n.Fingerprint[:]), shared
	n.Renew = !x.isRetry()
	done, err := s.cfg.Jobs.Submit(ctx, n)
	if err == nil && done.Replayed && !serves(done.Job) {
		n.Renew = true
		done, err = s.cfg.Jobs.Submit(ctx, n)
	}
	if err != nil {
		return jobs.Job{}, err
	}
	x.Job = done.Job.ID
	x.w.Header().Set("Penstock-Job", done.Job.ID.String())
	return done.Job, nil
}

// serves reports whether a retry can have the answer of the job.
func serves(job jobs.Job) bool {
	return !job.Status.Terminal() || job.Status == jobs.StatusSucceeded && len(job.Result) > 0
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
