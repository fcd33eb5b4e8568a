package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/penstock-dev/penstock/batches"
)

// errTooMany says that there are more than [batches.MaxLines] lines.
var errTooMany = errors.New("more lines than a batch may have")

// raw is a line as it is in the input.
type raw struct {
	n      int
	offset int64
	// text is the line without what ends it. It holds until the next line is read.
	text []byte
	// flaw is the code of what keeps it from being looked into; empty: nothing.
	flaw string
}

// reader takes the lines of an input one after another. A line ends with LF or CRLF, the
// last also with the input. Blank lines at the end are not told of.
type reader struct {
	in *bufio.Reader
	// at is behind the line that was told of last, next behind what was read.
	at, next batches.Cursor
	// blank is how many blank lines came last, which are at offset first on; after is the
	// line that came after them.
	blank int
	first int64
	after *raw
	long  []byte
}

func newReader(in io.Reader, from batches.Cursor) *reader {
	return &reader{in: bufio.NewReaderSize(in, 64<<10), at: from, next: from}
}

// line returns the next line; [io.EOF] after the last, errTooMany in its place if there
// are too many, and else what reading failed with.
func (r *reader) line() (raw, error) {
	if r.after == nil {
		l, err := r.nonBlank()
		if err != nil {
			return raw{}, err
		}
		r.after = &l
	}
	if r.blank > 0 {
		r.blank--
		r.at.Lines++
		return raw{n: r.at.Lines, offset: r.first, flaw: batches.CodeInvalidJSONLine}, nil
	}
	l := *r.after
	r.after, r.at = nil, r.next
	return l, nil
}

// nonBlank reads on to a line with something in it, and counts those before it.
func (r *reader) nonBlank() (raw, error) {
	for {
		l, err := r.read()
		if err != nil {
			return raw{}, err
		}
		if l.flaw != "" || len(bytes.TrimSpace(l.text)) > 0 {
			if l.n > batches.MaxLines {
				return raw{}, errTooMany
			}
			return l, nil
		}
		if r.blank == 0 {
			r.first = l.offset
		}
		r.blank++
	}
}

// read reads to the end of a line.
func (r *reader) read() (raw, error) {
	l := raw{n: r.next.Lines + 1, offset: r.next.Bytes}
	r.long = r.long[:0]
	for {
		part, err := r.in.ReadSlice('\n')
		r.next.Bytes += int64(len(part))
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			r.keep(&l, part)
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return raw{}, err
		case err != nil && len(part) == 0 && r.next.Bytes == l.offset:
			return raw{}, io.EOF
		}
		r.next.Lines++
		if l.text = part; len(r.long) > 0 || l.flaw != "" {
			r.keep(&l, part)
			l.text = r.long
		}
		return l.trimmed(), nil
	}
}

// keep adds a part to a line that is longer than what is read at once.
func (r *reader) keep(l *raw, part []byte) {
	if l.flaw != "" {
		return
	}
	const ends = len("\r\n")
	if len(r.long)+len(part) > batches.MaxLine+ends {
		l.flaw, r.long = batches.CodeLineTooLong, r.long[:0]
		return
	}
	r.long = append(r.long, part...)
}

// trimmed returns the line without what ends it and, if it is the first, without a byte
// order mark.
func (l raw) trimmed() raw {
	l.text = bytes.TrimSuffix(bytes.TrimSuffix(l.text, []byte("\n")), []byte("\r"))
	if mark := []byte("\ufeff"); l.offset == 0 && bytes.HasPrefix(l.text, mark) {
		l.text, l.offset = l.text[len(mark):], int64(len(mark))
	}
	if len(l.text) > batches.MaxLine {
		l.flaw = batches.CodeLineTooLong
	}
	if l.flaw != "" {
		l.text = nil
	}
	return l
}
