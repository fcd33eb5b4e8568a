package transport

import (
	"bufio"
	"bytes"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

const (
	// errorBodyBytes is how much of an error's body is read, and errorBodyTime
	// how long: the status alone already says enough.
	errorBodyBytes = 64 << 10
	errorBodyTime  = 5 * time.Second
	// drainBytes and drainTime bound what is read after the terminal event, so
	// that the connection can be used again.
	drainBytes = 4 << 10
	drainTime  = 50 * time.Millisecond
)

// isStream decides by the content type, and by the first byte where that says
// nothing or the opposite of what came: an object is never a stream.
func isStream(contentType string, first byte) bool {
	if first == '{' {
		return false
	}
	mediaType, _, _ := mime.ParseMediaType(contentType)
	switch mediaType {
	case "text/event-stream":
		return true
	case "application/json", "text/html":
		return false
	default:
		return bytes.IndexByte([]byte("deir:"), first) >= 0 // data, event, id, retry, a comment
	}
}

// skipSpace skips white space, which some servers send to keep a connection
// alive, and a byte order mark. It returns the first other byte, unread.
func skipSpace(in *bufio.Reader) (byte, error) {
	for {
		next, err := in.Peek(1)
		if err != nil {
			return 0, err
		}
		if !isSpace(next[0]) && bytes.IndexByte([]byte("\xEF\xBB\xBF"), next[0]) < 0 {
			return next[0], nil
		}
		_, _ = in.Discard(1)
	}
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\n' || b == '\r' }

// errAnswerTooLong is an answer beyond [Config].MaxAnswerBytes.
var errAnswerTooLong = &providers.Error{Class: providers.Malformed, Message: "the answer is too long"}

// boundedReader fails once more than left bytes were read.
type boundedReader struct {
	in   io.Reader
	left int64
}

func (r *boundedReader) Read(into []byte) (int, error) {
	if int64(len(into)) > r.left+1 {
		into = into[:r.left+1]
	}
	n, err := r.in.Read(into)
	if int64(n) > r.left {
		return int(r.left), errAnswerTooLong
	}
	r.left -= int64(n)
	return n, err
}

// drain reads what is left after the terminal event, normally nothing, so
// that the connection is seen to be at its end.
func drain(body io.Reader, clocks *clocks) {
	release := clocks.grace(drainTime)
	defer release()
	_, _ = io.CopyN(io.Discard, body, drainBytes)
}

// readErrorBody reads the beginning of an error's body, as far as it comes.
func readErrorBody(body io.Reader, clocks *clocks) []byte {
	release := clocks.grace(errorBodyTime)
	defer release()
	read, _ := io.ReadAll(io.LimitReader(body, errorBodyBytes))
	return read
}

// requestIDOf is the server's name for the call, if it is a decent one.
func requestIDOf(header http.Header) string {
	for _, name := range []string{"X-Request-Id", "Request-Id"} {
		id := header.Get(name)
		if id != "" && len(id) <= 200 && ValidHeaderValue(id) {
			return id
		}
	}
	return ""
}
