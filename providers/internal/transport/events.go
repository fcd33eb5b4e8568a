package transport

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/penstock-dev/penstock/providers"
)

// Event is one server-sent event.
type Event struct {
	// Name is the event's type; empty when the stream names none.
	Name string
	// Data is the caller's to keep.
	Data []byte
}

// ErrEventTooLong is a line or event beyond the reader's limit.
var ErrEventTooLong = &providers.Error{Class: providers.Malformed, Message: "an event of the stream is too long"}

// ErrNoTerminalEvent is a stream that ended cleanly, but early.
var ErrNoTerminalEvent = &providers.Error{
	Class: providers.Truncated, Message: "the stream ended without its terminal event",
}

// Events reads server-sent events as the HTML standard describes them
// (section 9.2.6): lines end in LF, CR or CRLF, comments and unknown fields
// are skipped, data lines are joined by LF, a blank line ends an event.
type Events struct {
	in     *bufio.Reader
	limit  int // bytes of one line, and of one event's data
	line   []byte
	skipLF bool
}

// NewEvents returns a reader of in, for lines and events of at most limit
// bytes.
func NewEvents(in *bufio.Reader, limit int) *Events { return &Events{in: in, limit: limit} }

// Next returns the next event that has data. At the end of input it returns
// io.EOF along with an event that no blank line ended, if there is one; the
// standard drops such an event, and so should the caller, but for what cannot
// be mistaken even so.
func (r *Events) Next() (Event, error) {
	var e Event
	for {
		err := r.readLine()
		if err != nil && !errors.Is(err, io.EOF) {
			return Event{}, err
		}
		if len(r.line) == 0 && (err != nil || e.Data != nil) {
			return e, err
		}
		if len(r.line) == 0 {
			e = Event{} // an event without data is none
			continue
		}
		if fieldErr := e.add(r.line, r.limit); fieldErr != nil {
			return Event{}, fieldErr
		}
		if err != nil {
			return e, err
		}
	}
}

// add takes in one line of an event.
func (e *Event) add(line []byte, limit int) error {
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "event":
		e.Name = string(value)
	case "data":
		if len(e.Data)+len(value)+1 > limit {
			return ErrEventTooLong
		}
		if e.Data != nil {
			e.Data = append(e.Data, '\n')
		}
		e.Data = append(e.Data, value...)
		if e.Data == nil {
			e.Data = []byte{}
		}
	}
	return nil
}

// readLine reads one line into r.line, without its end. A last line without
// an end comes with io.EOF.
func (r *Events) readLine() error {
	r.line = r.line[:0]
	for {
		if _, err := r.in.Peek(1); err != nil {
			return err
		}
		window, _ := r.in.Peek(r.in.Buffered())
		if r.skipLF && window[0] == '\n' {
			window = window[1:]
			_, _ = r.in.Discard(1)
		}
		r.skipLF = false
		end := bytes.IndexAny(window, "\r\n")
		taken := window
		if end >= 0 {
			taken = window[:end]
		}
		if len(r.line)+len(taken) > r.limit {
			return ErrEventTooLong
		}
		r.line = append(r.line, taken...)
		if end < 0 {
			_, _ = r.in.Discard(len(window))
			continue
		}
		r.skipLF = window[end] == '\r'
		_, _ = r.in.Discard(end + 1)
		return nil
	}
}
