package openai

import (
	"crypto/sha256"
	"encoding/json"
	"errors"

	"github.com/penstock-dev/penstock/internal/surface"
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

// job is what is submitted for q.
func (q request) job(tenant string) jobs.NewJob {
	return jobs.NewJob{
		Tenant: tenant, Endpoint: q.endpoint, Request: q.body, Priority: jobs.PriorityHigh,
		Ephemeral: q.dropped, Metadata: q.metadata, User: q.user,
		Fingerprint: q.digest,
	}
}

// submit makes the job of a request, or finds the one that it repeats.
func (s *Surface) submit(x *exchange, n jobs.NewJob) (jobs.Job, error) {
	ctx, cancel := s.storeContext(x.r.Context())
	defer cancel()
	return surface.Submit(ctx, x.w, x.r, s.cfg.Jobs, n)
}
