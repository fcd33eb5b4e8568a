package openai

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
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

// answer is what came, whole or not.
type answer struct {
	body    json.RawMessage
	model   string
	finish  string
	usage   providers.Usage
	partial string
}

// readAnswer reads resp to its end. Every error of it is an *providers.Error
// with all that is known about the call.
func (p *Provider) readAnswer(
	ctx context.Context, resp *http.Response, req providers.Request, clocks *clocks, onChunk func(providers.Chunk),
) (providers.Response, error) {
	requestID := requestIDOf(resp.Header)
	var got answer
	var err error
	if resp.StatusCode/100 != 2 {
		err = statusError(resp.StatusCode, readErrorBody(resp.Body, clocks))
	} else {
		got, err = p.readBody(resp, req, clocks, onChunk)
	}
	if err != nil {
		failure := interrupted(ctx, err)
		failure.HTTPStatus = resp.StatusCode
		failure.RequestID = requestID
		failure.TimeToFirstToken = clocks.timeToFirstToken()
		failure.Usage, failure.Partial = got.usage, got.partial
		failure.Detail = boundDetail(p.scrub(failure.Detail))
		obeyHints(failure, resp.Header)
		return providers.Response{}, failure
	}
	return providers.Response{
		Body:             got.body,
		Model:            got.model,
		FinishReason:     got.finish,
		Usage:            got.usage,
		HTTPStatus:       resp.StatusCode,
		TimeToFirstToken: clocks.timeToFirstToken(),
		RequestID:        requestID,
	}, nil
}

// readBody reads the body of a 2xx answer, streamed or whole.
func (p *Provider) readBody(
	resp *http.Response, req providers.Request, clocks *clocks, onChunk func(providers.Chunk),
) (answer, error) {
	in := bufio.NewReaderSize(&boundedReader{in: resp.Body, left: p.config.MaxAnswerBytes}, 16<<10)
	first, err := skipSpace(in)
	if errors.Is(err, io.EOF) {
		return answer{}, &providers.Error{Class: providers.Malformed, Message: "the body is empty"}
	}
	if err != nil {
		return answer{}, err
	}
	if !p.streams(req) || !isStream(resp.Header.Get("Content-Type"), first) {
		return readWhole(in, req, clocks)
	}
	assembled, err := readStream(in, p.config, chunkTeller{clocks, onChunk})
	if err == nil {
		drain(resp.Body, clocks)
	}
	return streamedAnswer(assembled, err)
}

// streamedAnswer reads off the assembly what there is of an answer.
func streamedAnswer(a *assembly, err error) (answer, error) {
	got := answer{model: text(a.top["model"]), usage: usageOf(a.top), partial: a.partial()}
	if c := a.first(); c != nil {
		got.finish = c.finish
	}
	if err == nil {
		got.body = a.body()
	}
	return got, err
}

// chunkTeller passes chunks on and keeps the clocks.
type chunkTeller struct {
	clocks  *clocks
	onChunk func(providers.Chunk)
}

func (t chunkTeller) chunk(data json.RawMessage, substance bool) {
	t.clocks.piece(substance)
	if t.onChunk == nil {
		return
	}
	t.clocks.rest() // a slow listener is not the provider's stall
	t.onChunk(providers.Chunk{Data: data})
	t.clocks.resume()
}

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

// errAnswerTooLong is an answer beyond Config.MaxAnswerBytes.
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
		if id != "" && len(id) <= 200 && validHeaderValue(id) {
			return id
		}
	}
	return ""
}
