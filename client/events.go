package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"github.com/google/uuid"
)

// Event is one event of a job's stream.
type Event struct {
	Type EventType
	// ID is a delta's place in the stream: see [Client.EventsAfter].
	ID string
	// Job is that of a status, with what that tells of it, and of done, whole.
	Job Job
	// Delta is the next piece of the answer, in the endpoint's own form.
	Delta json.RawMessage
}

// EventType says what an event tells of. Expect others, and pass over them.
type EventType string

// The events.
const (
	// EventStatus: how the job stands, first and at each change.
	EventStatus EventType = "status"
	// EventDelta: a piece of the answer.
	EventDelta EventType = "delta"
	// EventRestart: the pieces so far count no more.
	EventRestart EventType = "restart"
	// EventDone: the job has ended. It is the last event.
	EventDone EventType = "done"
)

// Events follows a job while it waits, runs and ends: the last event is done, unless there
// is an error. A connection that is cut, or silent for 45 s, is made again, and goes on
// behind the last event that was seen; the status is told anew then.
func (c *Client) Events(ctx context.Context, id uuid.UUID) iter.Seq2[Event, error] {
	return c.EventsAfter(ctx, id, "")
}

// EventsAfter is Events behind the delta with this id.
func (c *Client) EventsAfter(ctx context.Context, id uuid.UUID, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		f := &follower{client: c, job: id, after: after}
		if err := c.persist(ctx, func() (bool, error) { return f.follow(ctx, yield) }); err != nil {
			yield(Event{}, err)
		}
	}
}

// silence is after how much of it a connection is taken for dead: the API sends a comment
// every 15 s.
const silence = 45 * time.Second

// follower reads a job's stream over as many connections as it takes.
type follower struct {
	client *Client
	job    uuid.UUID
	// after is the id of the last event seen.
	after string
}

// follow reads one connection, and reports whether it told anything. It returns nil after
// done, or when nobody wants more; else why it ended.
func (f *follower) follow(ctx context.Context, yield func(Event, error) bool) (heard bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(silence, func() { cancel(errors.New("the stream fell silent")) })
	defer watchdog.Stop()
	r := request{method: http.MethodGet, path: jobPath(f.job, "/events"), header: http.Header{}}
	if f.after != "" {
		r.header.Set("Last-Event-ID", f.after)
	}
	resp, err := f.client.try(ctx, r)
	if err != nil {
		return false, cut(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := newEventReader(resp.Body, func() { watchdog.Reset(silence) })
	for {
		raw, err := lines.next()
		if err != nil {
			return heard, cut(ctx, err)
		}
		heard = true
		event, err := raw.event()
		if err != nil {
			return heard, err
		}
		if event.ID != "" {
			f.after = event.ID
		}
		if !yield(event, nil) || event.Type == EventDone {
			return heard, nil
		}
	}
}

// cut says why a stream ended before its end.
func cut(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err == io.EOF { //nolint:errorlint // the reader's own
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("client: follow a job: %w", err)
}

// event reads what an event says.
func (r rawEvent) event() (Event, error) {
	e := Event{Type: EventType(r.name), ID: r.id}
	var err error
	switch e.Type {
	case EventStatus, EventDone:
		err = json.Unmarshal(r.data, &e.Job)
	case EventDelta:
		e.Delta = r.data
	case EventRestart:
	}
	if err != nil {
		return Event{}, finalError{fmt.Errorf("client: understand an event %s: %w", r.name, err)}
	}
	return e, nil
}
