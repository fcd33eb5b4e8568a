package openai

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// event is one server-sent event.
type event struct {
	name string
	data []byte
}

// errEventTooLong is a line or event beyond the reader's limit.
var errEventTooLong = errors.New("line or event too long")

// eventReader reads server-sent events as the HTML standard describes them
// (section 9.2.6): lines end in LF, CR or CRLF, comments and unknown fields
// are skipped, data lines are joined by LF, a blank line ends an event.
type eventReader struct {
	in     *bufio.Reader
	limit  int // bytes of one line, and of one event's data
	line   []byte
	skipLF bool
}

// next returns the next event that has data. At the end of input it returns
// io.EOF along with an event that no blank line ended, if there is one; the
// standard drops such an event, and so should the caller, but for what cannot
// be mistaken even so. The data is the caller's to keep.
func (r *eventReader) next() (event, error) {
	var e event
	for {
		err := r.readLine()
		if err != nil && !errors.Is(err, io.EOF) {
			return event{}, err
		}
		if len(r.line) == 0 && (err != nil || e.data != nil) {
			return e, err
		}
		if len(r.line) == 0 {
			e = event{} // an event without data is none
			continue
		}
		if fieldErr := e.add(r.line, r.limit); fieldErr != nil {
			return event{}, fieldErr
		}
		if err != nil {
			return e, err
		}
	}
}

// add takes in one line of an event.
func (e *event) add(line []byte, limit int) error {
	field, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(field) {
	case "event":
		e.name = string(value)
	case "data":
		if len(e.data)+len(value)+1 > limit {
			return errEventTooLong
		}
		if e.data != nil {
			e.data = append(e.data, '\n')
		}
		e.data = append(e.data, value...)
		if e.data == nil {
			e.data = []byte{}
		}
	}
	return nil
}

// readLine reads one line into r.line, without its end. A last line without
// an end comes with io.EOF.
func (r *eventReader) readLine() error {
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
			return errEventTooLong
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
