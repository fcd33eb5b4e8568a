package courier

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// composer writes bodies. It is the same body for the same job and event, so that it
// does not matter which courier writes it.
type composer struct {
	// jobURL is what comes before a job's id.
	jobURL    string
	retention jobs.Retention
}

func newComposer(publicURL string, retention jobs.Retention) composer {
	return composer{jobURL: strings.TrimSuffix(publicURL, "/") + "/v1/jobs/", retention: retention}
}

// told returns the body of an event that is of no job.
func (c composer) told(d delivery.Due) ([]byte, error) {
	return encode(delivery.NewEnvelope(d.Event, d.Type, d.CreatedAt, d.Data))
}

// ended returns the body of a job's event, with the job's result if there is one that
// may be sent. That of a response has its id alone, as with OpenAI.
func (c composer) ended(d delivery.Due, j jobs.Job, result bool) ([]byte, error) {
	if delivery.OfResponse(d.Type) {
		return encode(delivery.NewEnvelope(d.Event, d.Type, d.CreatedAt, delivery.NewResponse(j.ID)))
	}
	about := c.about(j)
	if result {
		about = withResult(about, j)
	}
	return encode(delivery.NewEnvelope(d.Event, d.Type, d.CreatedAt, about))
}

type usageJSON struct {
	InputTokens     int64 `json:"input_tokens"`
	OutputTokens    int64 `json:"output_tokens"`
	CachedTokens    int64 `json:"cached_tokens"`
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

type errorJSON struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// about says all of a job but its result.
func (c composer) about(j jobs.Job) delivery.Job {
	out := delivery.Job{
		ID: j.ID, Object: "job", Status: string(j.Status), Endpoint: j.Endpoint, Model: j.Model, CostUSD: j.CostUSD,
		Metadata: j.Metadata, CreatedAt: j.CreatedAt.UTC(), FinishedAt: j.FinishedAt.UTC(),
		ResultURL: c.jobURL + j.ID.String(), ResultExpiresAt: c.expiry(j), Usage: usage(j.Usage),
	}
	if out.Metadata == nil {
		out.Metadata = map[string]string{}
	}
	// A job that succeeded has an error when its answer is not to be had any more.
	if j.Error != nil && j.Status != jobs.StatusSucceeded {
		out.Error = errorJSON{Code: j.Error.Code, Message: j.Error.Message}
	}
	return out
}

// usage returns nil, and no pointer to nothing, while it is not known.
func usage(u providers.Usage) any {
	if !u.Known {
		return nil
	}
	return usageJSON{u.InputTokens, u.OutputTokens, u.CachedTokens, u.ReasoningTokens}
}

// expiry returns when the job's answer is deleted; nil: never.
func (c composer) expiry(j jobs.Job) *time.Time {
	if j.Ephemeral {
		at := j.FinishedAt.Add(jobs.EphemeralHold).UTC()
		return &at
	}
	keep, ok := c.retention.Tenants[j.Tenant]
	if !ok {
		keep = c.retention.Default
	}
	if keep == 0 {
		return nil
	}
	at := j.CreatedAt.Add(keep).UTC()
	return &at
}

// withResult adds the result. That of an ephemeral job is kept nowhere, so in no body
// either; one that was dropped, erased or cannot be read is left out as one too large is.
func withResult(about delivery.Job, j jobs.Job) delivery.Job {
	switch {
	case j.Status != jobs.StatusSucceeded:
		return about
	case j.Ephemeral, len(j.Result) == 0, !json.Valid(j.Result):
		about.ResultOmitted = true
		return about
	default:
		return about.WithResult(j.Result)
	}
}

// encode leaves <, > and & as they are: what is told is not for HTML.
func encode(e delivery.Envelope) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(e); err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
