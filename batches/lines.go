package batches

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/canonical"
)

// LineWriter writes requests as the lines of an input. It holds one at a time.
type LineWriter struct {
	to       io.Writer
	endpoint string
	line     bytes.Buffer
	lines    int
	bytes    int64
}

// NewLineWriter returns a writer of lines for an endpoint, to w. What is in w by the time
// it has failed is of no use.
func NewLineWriter(w io.Writer, endpoint string) *LineWriter {
	return &LineWriter{to: w, endpoint: endpoint}
}

// Write writes a request. It is an *[jobs.Error] if it is more than a batch can have or if
// body is no JSON, pointing at /requests/0 for the first, and so on; nothing else is looked
// at: that is done when the input is read.
func (w *LineWriter) Write(customID string, body json.RawMessage) error {
	at := fmt.Sprint("/requests/", w.lines)
	if w.lines == MaxLines {
		return jobs.Invalid("/requests", "must be at most %d", MaxLines)
	}
	w.line.Reset()
	w.line.WriteString(`{"custom_id":`)
	w.line.Write(canonical.AppendString(w.line.AvailableBuffer(), customID))
	w.line.WriteString(`,"method":"POST","url":`)
	w.line.Write(canonical.AppendString(w.line.AvailableBuffer(), w.endpoint))
	w.line.WriteString(`,"body":`)
	if json.Compact(&w.line, body) != nil {
		return jobs.Invalid(at, "not valid JSON")
	}
	w.line.WriteString("}")
	if w.line.Len() > MaxLine {
		return jobs.Invalid(at, "must be at most %d bytes", MaxLine)
	}
	w.line.WriteString("\n")
	w.lines++
	if w.bytes += int64(w.line.Len()); w.bytes > MaxBytes {
		return jobs.Invalid("/requests", "must be at most %d bytes", MaxBytes)
	}
	if _, err := w.line.WriteTo(w.to); err != nil {
		return fmt.Errorf("write line %d: %w", w.lines, err)
	}
	return nil
}

// Lines returns how many were written.
func (w *LineWriter) Lines() int { return w.lines }
