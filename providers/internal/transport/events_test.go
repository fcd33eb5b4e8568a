package transport

import (
	"bufio"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestEventsAreReadAsTheStandardSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		stream string
		want   []string // name|data; the last, with a ~, is what no blank line ended
	}{
		"LF":                 {"data: a\n\ndata: b\n\n", []string{"|a", "|b"}},
		"CR":                 {"data: a\r\rdata: b\r\r", []string{"|a", "|b"}},
		"CRLF":               {"data: a\r\n\r\ndata: b\r\n\r\n", []string{"|a", "|b"}},
		"several data lines": {"data: a\ndata:b\ndata:  c\n\n", []string{"|a\nb\n c"}},
		"names":              {"event: error\ndata: a\n\ndata: b\n\n", []string{"error|a", "|b"}},
		"a name alone":       {"event: error\n\ndata: b\n\n", []string{"|b"}},
		"comments":           {": x\n:\n\n: data: no\ndata: a\n\n", []string{"|a"}},
		"unknown fields":     {"id: 1\nretry: 2\nfoo: bar\nbaz\ndata: a\n\n", []string{"|a"}},
		"data without colon": {"data\n\n", []string{"|"}},
		"unended":            {"data: a\n\ndata: b", []string{"|a", "|b~"}},
		"unended after line": {"data: a\n\ndata: b\n", []string{"|a", "|b~"}},
		"nothing":            {"", nil},
	} {
		events := NewEvents(bufio.NewReaderSize(strings.NewReader(c.stream), 16), 100)
		var got []string
		for {
			e, err := events.Next()
			if err == nil {
				got = append(got, e.Name+"|"+string(e.Data))
				continue
			}
			if !errors.Is(err, io.EOF) {
				t.Errorf("%s: %v", name, err)
			}
			if e.Data != nil {
				got = append(got, e.Name+"|"+string(e.Data)+"~")
			}
			break
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// endless gives the same line for ever: what reads it without a bound never
// ends.
type endless struct {
	line string
	left int // bytes until the test has seen enough
}

var errReadOn = errors.New("read on beyond the limit")

func (e *endless) Read(into []byte) (int, error) {
	if e.left <= 0 {
		return 0, errReadOn
	}
	n := copy(into, e.line)
	e.left -= n
	return n, nil
}

func TestLinesAndEventsAreBounded(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"a line":                       "data: x",
		"a comment":                    ": x",
		"an event of short lines":      "data: 0123456789\n",
		"an event of lines of no data": "data:\n",
	} {
		source := &endless{line: line, left: 1 << 20}
		events := NewEvents(bufio.NewReaderSize(source, 16), 1000)
		if _, err := events.Next(); !errors.Is(err, ErrEventTooLong) {
			t.Errorf("%s: got %v, want %v", name, err, ErrEventTooLong)
		}
	}
}
