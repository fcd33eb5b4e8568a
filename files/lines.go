package files

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/penstock-dev/penstock/jobs"
)

// maxLine is how many bytes a line may have that is redacted: as many as a line of a batch.
const maxLine = 8 << 20

// lines redacts an upload line by line. It holds the line that has not ended.
type lines struct {
	to     func(p []byte) error
	redact func(line []byte) ([]byte, error)
	line   []byte
	// n counts lines from 1.
	n int
}

func (l *lines) write(p []byte) error {
	for len(p) > 0 {
		part, rest, ended := bytes.Cut(p, []byte{'\n'})
		if len(l.line)+len(part) > maxLine {
			return jobs.Invalid("/file", "line %d has more than %d bytes", l.n+1, maxLine)
		}
		l.line, p = append(l.line, part...), rest
		if !ended {
			return nil
		}
		if err := l.pass("\n"); err != nil {
			return err
		}
	}
	return nil
}

// end passes on the last line, if nothing has ended it.
func (l *lines) end() error {
	if len(l.line) == 0 {
		return nil
	}
	return l.pass("")
}

// pass passes the line on, redacted, and what ends it.
func (l *lines) pass(ending string) error {
	l.n++
	line := bytes.TrimSuffix(l.line, []byte{'\r'})
	if len(bytes.TrimSpace(line)) > 0 {
		redacted, err := l.redact(line)
		if err != nil {
			return l.refused(err)
		}
		if bytes.ContainsRune(redacted, '\n') {
			return l.refused(errors.New("the redacted line is more than one"))
		}
		if err := l.to(redacted); err != nil {
			return err
		}
	}
	l.line = l.line[:0]
	return l.to([]byte(ending))
}

// refused says which line it was.
func (l *lines) refused(err error) error {
	if e, ok := errors.AsType[*jobs.Error](err); ok {
		said := *e
		said.Message = fmt.Sprintf("line %d: %s", l.n, e.Message)
		return &said
	}
	return &jobs.Error{
		Code: jobs.CodeRedactionUnavailable, Message: "the file could not be redacted, so it was not kept: upload it again",
		Err: fmt.Errorf("redact line %d: %w", l.n, err),
	}
}
