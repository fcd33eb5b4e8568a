package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

const headerLastEventID = "Last-Event-ID"

// errTooManyStreams is answered when MaxWaiters are there already.
var errTooManyStreams = &jobs.Error{
	Code:    codeRateLimited,
	Message: "this process serves as many streams as it may; try again, or poll with ?wait=",
}

// statusJSON is how a job stands, as its stream tells it.
type statusJSON struct {
	Status    jobs.Status `json:"status"`
	WaitingOn *string     `json:"waiting_on"`
	Position  *int        `json:"position"`
	ETA       *time.Time  `json:"eta"`
	Tries     int         `json:"tries"`
}

// events is GET /v1/jobs/{id}/events, a stream of server-sent events (WHATWG
// HTML, section 9.2). It ends after done, or earlier when the process is about
// to stop: then the caller comes again with Last-Event-ID.
func (a *API) events(x *exchange) error {
	id, err := x.jobID()
	if err != nil {
		return err
	}
	if err := noQuery(x); err != nil {
		return err
	}
	after, err := lastEventID(x.Request().Header)
	if err != nil {
		return err
	}
	if x.Request().Method == http.MethodHead {
		return a.headEvents(x)
	}
	ctx, leave, ok := a.waiters.enter(x.Request().Context())
	if !ok {
		return errTooManyStreams
	}
	defer leave()
	s := &eventStream{exchange: x, timeout: a.cfg.WriteTimeout}
	err = a.cfg.Follower.Follow(ctx, x.tenant, id, after, s.tell)
	if err != nil && ctx.Err() != nil && x.Request().Context().Err() == nil {
		return nil // it is this process that leaves
	}
	return err
}

// headEvents answers as GET would, for a job that is there.
func (a *API) headEvents(x *exchange) error {
	ctx, cancel := a.storeContext(x)
	defer cancel()
	if _, err := a.cfg.Service.Job(ctx, x.tenant, x.job); err != nil {
		return err
	}
	setEventHeaders(x.header())
	return x.NoContent(http.StatusOK)
}

// lastEventID reads fence-seq; none is the beginning.
func lastEventID(h http.Header) (jobs.StreamPosition, error) {
	text := h.Get(headerLastEventID)
	if text == "" {
		return jobs.StreamPosition{}, nil
	}
	before, behind, _ := strings.Cut(text, "-")
	fence, err1 := strconv.ParseUint(before, 10, 62)
	seq, err2 := strconv.ParseUint(behind, 10, 31)
	if errors.Join(err1, err2) != nil {
		return jobs.StreamPosition{}, jobs.Invalid("",
			"the header %s must be the id of an event of this stream, such as 1-42", headerLastEventID)
	}
	return jobs.StreamPosition{Fence: int64(fence), Seq: int(seq)}, nil
}

func setEventHeaders(h http.Header) {
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
}

// eventStream writes events to one listener.
type eventStream struct {
	*exchange

	timeout time.Duration
	buffer  bytes.Buffer
}

// tell writes events at once. A listener that does not read for the timeout is
// let go.
func (s *eventStream) tell(events ...jobs.StreamEvent) error {
	s.buffer.Reset()
	if !s.Response().Committed {
		setEventHeaders(s.header())
		s.Response().WriteHeader(http.StatusOK)
		s.buffer.WriteString("retry: 1000\n\n")
	}
	for _, e := range events {
		if err := s.append(e); err != nil {
			return err
		}
	}
	conn := http.NewResponseController(s.Response().Writer)
	_ = conn.SetWriteDeadline(time.Now().Add(s.timeout)) // a test's recorder has none
	if _, err := s.Response().Write(s.buffer.Bytes()); err != nil {
		return err
	}
	return conn.Flush()
}

func (s *eventStream) append(e jobs.StreamEvent) error {
	var data any
	switch e.Type {
	case jobs.StreamPing:
		s.buffer.WriteString(": ping\n\n")
		return nil
	case jobs.StreamStatus:
		data = statusJSON{Status: e.Job.Status, WaitingOn: orNull(string(e.Job.WaitingOn)), Tries: e.Job.Tries}
	case jobs.StreamDelta:
		data = e.Data
	case jobs.StreamRestart:
		data = struct{}{}
	case jobs.StreamDone:
		data = encodeJob(e.Job)
	}
	text, err := json.Marshal(data) // on one line, whatever e.Data was
	if err != nil {
		return fmt.Errorf("encode a %s event: %w", e.Type, err)
	}
	fmt.Fprintf(&s.buffer, "event: %s\n", e.Type)
	if e.At != (jobs.StreamPosition{}) {
		fmt.Fprintf(&s.buffer, "id: %d-%d\n", e.At.Fence, e.At.Seq)
	}
	fmt.Fprintf(&s.buffer, "data: %s\n\n", text)
	return nil
}
