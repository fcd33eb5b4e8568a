package openai

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/canonical"
	"github.com/penstock-dev/penstock/providers"
)

// request is a request for an answer.
type request struct {
	endpoint string
	// body is what a provider is asked.
	body json.RawMessage
	// digest names what the caller sent.
	digest [sha256.Size]byte

	stream, includeUsage bool
	background           bool
	// dropped says that nothing is to be kept: store: false.
	dropped  bool
	metadata map[string]string
	user     string
}

// read reads what the caller asks for. What the body means is for providers and for
// [jobs.Service] to judge, but for what is done here.
func (s *Surface) read(x *exchange, endpoint string) (request, func(), error) {
	body, done, err := x.caller.Server.ReadBody()
	if err != nil {
		return request{}, nil, err
	}
	q, err := readRequest(endpoint, body)
	if err != nil {
		done()
		return request{}, nil, err
	}
	return q, done, nil
}

func readRequest(endpoint string, body []byte) (request, error) {
	q := request{endpoint: endpoint, body: body}
	fields, err := readBody(body)
	if err != nil {
		return request{}, err
	}
	if q.digest, err = digestOf(body); err != nil {
		return request{}, err
	}
	var options struct {
		IncludeUsage bool `json:"include_usage"`
	}
	store := true
	for _, f := range []struct {
		name, want string
		into       any
	}{
		{"stream", "true or false", &q.stream},
		{"stream_options", "an object", &options},
		{"background", "true or false", &q.background},
		{"store", "true or false", &store},
		{"metadata", "an object of strings", &q.metadata},
		{"user", "a string", &q.user},
	} {
		raw, ok := fields.get(f.name)
		if ok && json.Unmarshal(raw, f.into) != nil {
			return request{}, jobs.Invalid("/"+f.name, "must be %s", f.want)
		}
	}
	q.includeUsage, q.dropped = options.IncludeUsage, !store
	switch endpoint {
	case providers.Embeddings:
		q.stream = false // there is no such field, and it is the provider's to say so
	case providers.Responses:
		q.body = fields.without(ours...).encode()
	}
	return q, nil
}

// digestOf names a body, however it is written. One that has no canonical form is
// refused: it could be taken for another.
func digestOf(body []byte) ([sha256.Size]byte, error) {
	doc, err := canonical.JSON(body)
	if e, ok := errors.AsType[*canonical.Error](err); ok {
		return [sha256.Size]byte{}, jobs.Invalid(e.Pointer, "%s", e.Reason)
	}
	return sha256.Sum256(doc), err
}

// shared is how old the submission may be that the retry of an SDK repeats.
const shared = 10 * time.Minute

// syncKey begins the idempotency keys of requests that SDKs may repeat by themselves. A
// caller's own key has no space.
const syncKey = "penstock sync "

// job is what is submitted for q. It shares no execution with equal requests: who asks
// twice wants two answers. Only an SDK's own retry wants the answer that its first try
// was to have.
func (q request) job(tenant string) jobs.NewJob {
	return jobs.NewJob{
		Tenant: tenant, Endpoint: q.endpoint, Request: q.body, Priority: jobs.PriorityHigh, NoDedupe: true,
		Ephemeral: q.dropped, Metadata: q.metadata, User: q.user,
		IdempotencyKey: syncKey + q.endpoint + " " + hex.EncodeToString(q.digest[:]), Fingerprint: q.digest, Within: shared,
	}
}

// submit makes the job that q asks for, or finds that which it repeats. The latest
// submission is the one that a retry repeats.
func (s *Surface) submit(x *exchange, n jobs.NewJob) (jobs.Job, error) {
	ctx, cancel := s.storeContext(x.r.Context())
	defer cancel()
	n.Renew = !isRetry(x)
	done, err := s.cfg.Jobs.Submit(ctx, n)
	if err == nil && done.Replayed && !serves(done.Job) {
		n.Renew = true
		done, err = s.cfg.Jobs.Submit(ctx, n)
	}
	if err != nil {
		return jobs.Job{}, err
	}
	x.caller.Job = done.Job.ID
	x.w.Header().Set("Penstock-Job", done.Job.ID.String())
	return done.Job, nil
}

// serves reports whether a retry can have the answer of the job.
func serves(job jobs.Job) bool {
	return !job.Status.Terminal() || job.Status == jobs.StatusSucceeded && len(job.Result) > 0
}

// isRetry reports whether an SDK has sent the request before.
func isRetry(x *exchange) bool {
	n, err := strconv.Atoi(x.r.Header.Get("X-Stainless-Retry-Count"))
	return err == nil && n > 0
}
