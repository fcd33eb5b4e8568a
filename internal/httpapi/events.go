package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

const headerLastEventID = "Last-Event-ID"

// errTooManyStreams is answered when MaxWaiters are there already.
var errTooManyStreams = busy("this process serves as many streams as it may; try again, or poll with ?wait=")

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
	id, after, err := streamQuery(x)
	if err != nil {
		return err
	}
	ctx, leave, ok := a.waiters.enter(context.WithoutCancel(x.Request().Context()))
	if !ok {
		return errTooManyStreams
	}
	stream, err := a.open(x, id)
	if err != nil {
		leave()
		return err
	}
	over := func() {
		stream.Close()
		leave()
	}
	if x.Request().Method == http.MethodHead {
		defer over()
		setEventHeaders(x.header())
		return x.NoContent(http.StatusOK)
	}
	a.streams.Add(1) // before net/http loses sight of it
	to, err := takeOver(x, a.cfg.WriteTimeout)
	if err != nil {
		a.streams.Done()
		over()
		return err
	}
	go func() {
		defer a.streams.Done()
		defer over()
		a.serveStream(ctx, stream, after, to)
	}()
	return nil
}

// streamQuery reads which stream is asked for, and from where on.
func streamQuery(x *exchange) (uuid.UUID, jobs.StreamPosition, error) {
	id, err := x.jobID()
	if err != nil {
		return uuid.Nil, jobs.StreamPosition{}, err
	}
	if err := noQuery(x); err != nil {
		return uuid.Nil, jobs.StreamPosition{}, err
	}
	after, err := lastEventID(x.Request().Header)
	return id, after, err
}

func (a *API) open(x *exchange, id uuid.UUID) (jobs.Stream, error) {
	ctx, cancel := a.storeContext(x)
	defer cancel()
	return a.cfg.Follower.Open(ctx, x.tenant, id)
}

func (a *API) serveStream(ctx context.Context, stream jobs.Stream, after jobs.StreamPosition, to *eventStream) {
	defer to.conn.Close()
	defer a.survive()
	err := stream.Run(ctx, after, func(events ...jobs.StreamEvent) error {
		if err := to.tell(events...); err != nil {
			return err
		}
		if last := events[len(events)-1]; last.Type == jobs.StreamDone {
			a.delivered(ctx, last.Job)
		}
		return nil
	})
	to.end(err == nil || ctx.Err() != nil) // with ctx, it is this process that leaves
}

// survive makes a panic a line in the log: no handler is there to do so.
func (a *API) survive() {
	if v := recover(); v != nil {
		p := panicError(v)
		a.cfg.Log.Error().Str("route", "/v1/jobs/:id/events").Err(p).Bytes("stack", p.stack).Msg("stream")
	}
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

// eventStream writes events to one listener. It owns the connection: a stream
// may be silent for hours, and what net/http keeps for an exchange is more than
// the stream itself.
type eventStream struct {
	conn    net.Conn
	timeout time.Duration
	// chunked says that the listener speaks HTTP/1.1 (RFC 9112, section 7.1).
	chunked bool
	buffer  bytes.Buffer
}

// takeOver takes x's connection and answers 200 with x's headers.
func takeOver(x *exchange, timeout time.Duration) (*eventStream, error) {
	s := &eventStream{timeout: timeout, chunked: x.Request().ProtoAtLeast(1, 1)}
	header := x.header().Clone()
	setEventHeaders(header)
	header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	header.Set("Connection", "close")
	if s.chunked {
		header.Set("Transfer-Encoding", "chunked")
	}
	conn, _, err := http.NewResponseController(x.Response().Writer).Hijack()
	if err != nil {
		return nil, fmt.Errorf("take over the connection of a stream: %w", err)
	}
	s.conn = conn
	x.Response().Committed, x.Response().Status = true, http.StatusOK
	_ = conn.SetReadDeadline(time.Time{}) // nothing is read any more
	var head bytes.Buffer
	head.WriteString("HTTP/1.1 200 OK\r\n")
	_ = header.Write(&head) // to memory
	head.WriteString("\r\n")
	_ = s.write(head.Bytes()) // the first event finds out
	return s, nil
}

// tell writes events at once. A listener that does not read for the timeout is
// let go.
func (s *eventStream) tell(events ...jobs.StreamEvent) error {
	s.buffer.Reset()
	for _, e := range events {
		if err := s.append(e); err != nil {
			return err
		}
	}
	err := s.send()
	if s.buffer.Cap() > keptBuffer {
		s.buffer = bytes.Buffer{}
	}
	return err
}

// keptBuffer is how large a buffer a silent stream keeps.
const keptBuffer = 1 << 10

func (s *eventStream) send() error {
	if !s.chunked {
		return s.write(s.buffer.Bytes())
	}
	size := fmt.Appendf(nil, "%x\r\n", s.buffer.Len())
	return s.write(size, s.buffer.Bytes(), []byte("\r\n"))
}

func (s *eventStream) write(parts ...[]byte) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	all := net.Buffers(parts)
	_, err := all.WriteTo(s.conn)
	return err
}

// end ends the stream. One that is not whole is left without its last chunk, so
// that the listener can tell.
func (s *eventStream) end(whole bool) {
	if whole && s.chunked {
		_ = s.write([]byte("0\r\n\r\n")) // the listener may have left
	}
}

func (s *eventStream) append(e jobs.StreamEvent) error {
	var data any
	switch e.Type {
	case jobs.StreamPing:
		s.buffer.WriteString(": ping\n\n")
		return nil
	case jobs.StreamStatus:
		data = statusJSON{
			Status: e.Job.Status, WaitingOn: orNull(string(e.Job.WaitingOn)),
			Position: orNull(e.Job.Position), ETA: timeJSON(e.Job.ETA), Tries: e.Job.Tries,
		}
	case jobs.StreamDelta:
		data = e.Data
	case jobs.StreamRestart:
		data = struct{}{}
	case jobs.StreamDone:
		data = encodeJob(e.Job)
	}
	line, err := surface.Marshal(data) // one line, whatever e.Data was
	if err != nil {
		return err
	}
	fmt.Fprintf(&s.buffer, "event: %s\n", e.Type)
	if e.At != (jobs.StreamPosition{}) {
		fmt.Fprintf(&s.buffer, "id: %d-%d\n", e.At.Fence, e.At.Seq)
	}
	fmt.Fprintf(&s.buffer, "data: %s\n", line)
	return nil
}
