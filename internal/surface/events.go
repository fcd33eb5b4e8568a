package surface

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"
)

// keptBuffer is how large a buffer a silent stream keeps.
const keptBuffer = 4 << 10

// Events answers with server-sent events (WHATWG HTML, section 9.2). Nothing is written,
// not even the status, before the first Flush. It is for one goroutine.
type Events struct {
	w       http.ResponseWriter
	conn    *http.ResponseController
	timeout time.Duration
	buffer  bytes.Buffer
	begun   bool
}

// NewEvents returns what answers by w. A client that does not read for the timeout is
// let go.
func NewEvents(w http.ResponseWriter, timeout time.Duration) *Events {
	return &Events{w: w, conn: http.NewResponseController(w), timeout: timeout}
}

// Begun reports whether the answer has: then it is 200, whatever becomes of it.
func (e *Events) Begun() bool { return e.begun }

// Add adds an event, with a name unless that is empty. data is JSON, or one line.
func (e *Events) Add(name string, data []byte) {
	if name != "" {
		e.buffer.WriteString("event: ")
		e.buffer.WriteString(name)
		e.buffer.WriteByte('\n')
	}
	e.buffer.WriteString("data: ")
	e.buffer.Write(oneLine(data))
	e.buffer.WriteString("\n\n")
}

// Comment adds what no client hears: it says that the connection lives.
func (e *Events) Comment(text string) {
	e.buffer.WriteString(": ")
	e.buffer.WriteString(text)
	e.buffer.WriteString("\n\n")
}

// FlushAdded sends what was added, if anything was.
func (e *Events) FlushAdded() error {
	if e.buffer.Len() == 0 {
		return nil
	}
	return e.Flush()
}

// Flush sends what was added, and with the first the status.
func (e *Events) Flush() error {
	if !e.begun {
		e.begin()
	}
	_ = e.conn.SetWriteDeadline(time.Now().Add(e.timeout)) // a test's recorder has none
	_, err := e.w.Write(e.buffer.Bytes())
	e.buffer.Reset()
	if e.buffer.Cap() > keptBuffer {
		e.buffer = bytes.Buffer{}
	}
	if err != nil {
		return err
	}
	return e.conn.Flush()
}

func (e *Events) begin() {
	e.begun = true
	h := e.w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	e.w.WriteHeader(http.StatusOK)
}

// oneLine takes the line breaks out of JSON: they would end the event.
func oneLine(data []byte) []byte {
	if !bytes.ContainsAny(data, "\r\n") {
		return data
	}
	var out bytes.Buffer
	if json.Compact(&out, data) != nil {
		return nil
	}
	return out.Bytes()
}
