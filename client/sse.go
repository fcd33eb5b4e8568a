package client

import (
	"bufio"
	"bytes"
	"io"
)

// rawEvent is one server-sent event (WHATWG HTML, section 9.2).
type rawEvent struct {
	name, id string
	data     []byte
}

// eventReader reads server-sent events as Penstock writes them: lines end in a newline,
// with or without a carriage return before it.
type eventReader struct {
	lines *bufio.Scanner
	// alive is called for each line, comments too.
	alive func()
}

func newEventReader(r io.Reader, alive func()) *eventReader {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxAnswer)
	return &eventReader{lines: lines, alive: alive}
}

// next returns the next event that has data; at the end of the stream [io.EOF].
func (e *eventReader) next() (rawEvent, error) {
	var event rawEvent
	for e.lines.Scan() {
		e.alive()
		line := e.lines.Bytes()
		if len(line) == 0 {
			if event.data != nil {
				return event, nil
			}
			event = rawEvent{}
			continue
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			event.name = string(value)
		case "id":
			event.id = string(value)
		case "data":
			if event.data != nil {
				event.data = append(event.data, '\n')
			}
			event.data = append(event.data, value...)
		}
	}
	if err := e.lines.Err(); err != nil {
		return rawEvent{}, err
	}
	return rawEvent{}, io.EOF
}
