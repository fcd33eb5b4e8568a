package delivery

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// The types of events. Those of jobs and of responses are written with the job's end,
// those of batches with the batch's; the others tell of Penstock itself. What is told of
// batches and of responses is told as OpenAI does, for its clients.
const (
	JobSucceeded = "job.succeeded"
	JobFailed    = "job.failed"
	JobCancelled = "job.cancelled"
	JobExpired   = "job.expired"

	BatchCompleted = "batch.completed"
	BatchFailed    = "batch.failed"
	BatchExpired   = "batch.expired"
	BatchCancelled = "batch.cancelled"

	ResponseCompleted  = jobs.EventResponseCompleted
	ResponseIncomplete = jobs.EventResponseIncomplete
	ResponseFailed     = jobs.EventResponseFailed
	ResponseCancelled  = jobs.EventResponseCancelled

	EndpointFailing  = "endpoint.failing"
	EndpointDisabled = "endpoint.disabled"
	LaneOpened       = "lane.opened"
	LaneClosed       = "lane.closed"

	// EndpointTest is what a tenant has sent to an endpoint to see it arrive. It goes to
	// that endpoint alone, and none can ask for those of others.
	EndpointTest = "endpoint.test"
)

// Types lists the types of events that endpoints can ask for.
func Types() []string {
	return []string{
		JobSucceeded, JobFailed, JobCancelled, JobExpired,
		BatchCompleted, BatchFailed, BatchExpired, BatchCancelled,
		ResponseCompleted, ResponseIncomplete, ResponseFailed, ResponseCancelled,
		EndpointFailing, EndpointDisabled, LaneOpened, LaneClosed,
	}
}

// Envelope is the body of a message: the same bytes at each attempt.
type Envelope struct {
	ID     string `json:"id"`
	Object string `json:"object"`
	Type   string `json:"type"`
	// CreatedAt is a time, RFC 3339, and of what is told as OpenAI does the seconds since
	// 1970.
	CreatedAt any `json:"created_at"`
	Data      any `json:"data"`
}

// EventID is how a body names its event.
func EventID(id uuid.UUID) string { return "evt_" + id.String() }

// NewEventID returns a new UUIDv7 of the millisecond at which what it tells of happened.
func NewEventID(at time.Time) (uuid.UUID, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make an event id: %w", err)
	}
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(at.UnixMilli(), 0))<<16)
	copy(id[:6], ms[:6])
	return id, nil
}

// IDOf returns the id of the delivery of an event to an endpoint. It has the time of the
// event, as a UUIDv7 has, so that deliveries sort as their events do, and is else the
// SHA-256 of both, of which it has the last ten bytes: two deliveries of a millisecond
// have the same with a chance of 2⁻⁷⁴. It is a UUIDv8 (RFC 9562, 5.8).
func IDOf(event, endpoint uuid.UUID) uuid.UUID {
	sum := sha256.Sum256(append(event[:], endpoint[:]...))
	id := uuid.UUID(append(event[:6:6], sum[22:]...))
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id
}

// NewEnvelope returns the envelope of an event.
func NewEnvelope(id uuid.UUID, eventType string, created time.Time, data any) Envelope {
	e := Envelope{ID: EventID(id), Object: "event", Type: eventType, CreatedAt: created.UTC(), Data: data}
	if strings.HasPrefix(eventType, "batch.") || OfResponse(eventType) {
		e.CreatedAt = created.Unix()
	}
	return e
}

// OfResponse reports whether events of the type tell of a response.
func OfResponse(eventType string) bool { return strings.HasPrefix(eventType, "response.") }

// Response is what an event tells of a response.
type Response struct {
	ID string `json:"id"`
}

// NewResponse names the response that a job is, as OpenAI's clients know it.
func NewResponse(job uuid.UUID) Response { return Response{ID: "resp_" + hex.EncodeToString(job[:])} }

// Job is what an event tells of a job. It is thin: the answer itself is to be had at
// ResultURL, unless the endpoint wants it sent along.
type Job struct {
	ID         uuid.UUID         `json:"id"`
	Object     string            `json:"object"`
	Status     string            `json:"status"`
	Endpoint   string            `json:"endpoint"`
	Model      string            `json:"model"`
	Usage      any               `json:"usage"`
	CostUSD    *jobs.USD         `json:"cost_usd"`
	Metadata   map[string]string `json:"metadata"`
	Error      any               `json:"error"`
	CreatedAt  time.Time         `json:"created_at"`
	FinishedAt time.Time         `json:"finished_at"`
	ResultURL  string            `json:"result_url"`
	// ResultExpiresAt is nil if the result is kept for ever.
	ResultExpiresAt *time.Time `json:"result_expires_at"`
	// Result is there if the endpoint includes results and this one is small enough;
	// ResultOmitted if it is not.
	Result        json.RawMessage `json:"result,omitempty"`
	ResultOmitted bool            `json:"result_omitted,omitempty"`
}

// WithResult returns the job with its result, or the word that it was left out
// because it is larger than [MaxResult].
func (j Job) WithResult(result json.RawMessage) Job {
	if len(result) > MaxResult {
		j.ResultOmitted = true
		return j
	}
	j.Result = result
	return j
}

// Thin returns the body without the result, for an endpoint that takes no body of
// that size. It is the one exception to one id, one body. False: the body has none,
// and is as small as it gets.
func Thin(body []byte) ([]byte, bool, error) {
	var envelope struct {
		Envelope

		Data map[string]json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(body, &envelope); err != nil {
		return nil, false, fmt.Errorf("read an event's body: %w", err)
	}
	if envelope.Data == nil {
		return nil, false, errors.New("read an event's body: it has no data")
	}
	if _, ok := envelope.Data["result"]; !ok {
		return body, false, nil
	}
	delete(envelope.Data, "result")
	envelope.Data["result_omitted"] = json.RawMessage("true")
	thin, err := json.Marshal(envelope)
	return thin, true, err
}
