package transport

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// Exchange is one call in the words of a wire format. Whole and Refused are
// required.
type Exchange struct {
	// Model is the provider's own name of the model.
	Model string
	// Path is appended to the base URL, Query behind it. Both are escaped.
	Path, Query string
	// Header is what the format needs beside key and content type.
	Header map[string]string
	Body   []byte
	// IdempotencyKey is sent if it is not empty.
	IdempotencyKey string
	Timeouts       providers.Timeouts

	// Refused classifies an answer that is not 2xx, by its status and the
	// beginning of its body. Of a hint in the body, left in RetryAfter, and those
	// in the headers the longest counts; the same goes for errors of Whole and
	// Stream.
	Refused func(status int, body []byte) *providers.Error
	// Whole reads an answer that is one body.
	Whole func(body []byte) (Answer, error)
	// Stream reads a streamed answer to its terminal event. Nil asks for a whole
	// answer. What had arrived comes along with an error, which is an
	// *[providers.Error] or what the events ended with.
	Stream func(events *Events, tell Tell) (Answer, error)
}

// Answer is what came, whole or not.
type Answer struct {
	Body  json.RawMessage
	Model string
	// Fingerprint is the server's word for the system behind the model.
	Fingerprint string
	Finish      string
	Usage       providers.Usage
	Partial     string
}

// Tell notes that something of the answer came; substance says whether it can
// be the first token. The call's listener is told of the chunk, if there is one,
// and of substance without one.
type Tell func(chunk json.RawMessage, substance bool)

// Call makes one HTTP request and reads its answer to the end; one more with
// each key that the server does not take, as long as nothing was told and there
// is another key. Every error is an *[providers.Error] with all that is known
// about the call.
func (c *Client) Call(
	ctx context.Context, x *Exchange, onChunk func(providers.Chunk),
) (providers.Response, error) {
	if err := CheckIdempotencyKey(x.IdempotencyKey); err != nil {
		return providers.Response{}, err
	}
	clocks, ctx := startClocks(ctx, x.Timeouts)
	defer clocks.stop()
	to := &teller{clocks: clocks, onChunk: onChunk}
	for turn := c.keys.Turn(x.Model); ; {
		resp, failure := c.attempt(ctx, x, turn.Key(), to)
		if failure == nil {
			turn.Taken()
			return resp, nil
		}
		if !turn.Refused(failure) || to.told || clocks.timeToFirstToken() > 0 {
			return providers.Response{}, failure
		}
	}
}

// attempt makes one HTTP request with a key.
func (c *Client) attempt(
	ctx context.Context, x *Exchange, key string, to *teller,
) (providers.Response, *providers.Error) {
	resp, err := c.send(ctx, x, key)
	if failure, ok := errors.AsType[*providers.Error](err); ok {
		return providers.Response{}, failure
	}
	if err != nil {
		return providers.Response{}, unanswered(ctx, to.clocks, err)
	}
	defer func() { _ = resp.Body.Close() }()
	return c.readAnswer(ctx, resp, x, to)
}

func (c *Client) readAnswer(
	ctx context.Context, resp *http.Response, x *Exchange, to *teller,
) (providers.Response, *providers.Error) {
	requestID, quota := requestIDOf(resp.Header), providers.ParseQuota(resp.Header, time.Now())
	var got Answer
	var err error
	if resp.StatusCode/100 != 2 {
		err = x.Refused(resp.StatusCode, readErrorBody(resp.Body, to.clocks))
	} else {
		got, err = c.readBody(resp, x, to)
	}
	if err != nil {
		failure := interrupted(ctx, err)
		failure.HTTPStatus = resp.StatusCode
		failure.RequestID, failure.Quota = requestID, quota
		failure.TimeToFirstToken = to.clocks.timeToFirstToken()
		failure.Usage, failure.Partial = got.Usage, got.Partial
		failure.Detail = boundDetail(c.scrub(failure.Detail))
		obeyHints(failure, resp.Header)
		return providers.Response{}, failure
	}
	return providers.Response{
		Body:             got.Body,
		Model:            got.Model,
		Fingerprint:      got.Fingerprint,
		FinishReason:     got.Finish,
		Usage:            got.Usage,
		HTTPStatus:       resp.StatusCode,
		TimeToFirstToken: to.clocks.timeToFirstToken(),
		RequestID:        requestID,
		Quota:            quota,
	}, nil
}

// readBody reads the body of a 2xx answer, streamed or whole.
func (c *Client) readBody(resp *http.Response, x *Exchange, to *teller) (Answer, error) {
	in := bufio.NewReaderSize(&boundedReader{in: resp.Body, left: c.maxAnswer}, 16<<10)
	first, err := skipSpace(in)
	if errors.Is(err, io.EOF) {
		return Answer{}, &providers.Error{Class: providers.Malformed, Message: "the body is empty"}
	}
	if err != nil {
		return Answer{}, err
	}
	if x.Stream == nil || !isStream(resp.Header.Get("Content-Type"), first) {
		body, err := io.ReadAll(&pieceReader{in, to.clocks})
		if err != nil {
			return Answer{}, err
		}
		return x.Whole(body)
	}
	got, err := x.Stream(NewEvents(in, c.maxEvent), to.tell)
	if err == nil {
		drain(resp.Body, to.clocks)
	}
	return got, err
}

// teller passes chunks on and keeps the clocks.
type teller struct {
	clocks  *clocks
	onChunk func(providers.Chunk)
	told    bool // onChunk was called
}

func (t *teller) tell(chunk json.RawMessage, substance bool) {
	t.clocks.piece(substance)
	if t.onChunk == nil || chunk == nil && !substance {
		return
	}
	t.clocks.rest() // a slow listener is not the provider's stall
	t.told = true
	t.onChunk(providers.Chunk{Data: chunk, Token: substance})
	t.clocks.resume()
}

// pieceReader tells the clocks of each read.
type pieceReader struct {
	in     io.Reader
	clocks *clocks
}

func (r *pieceReader) Read(into []byte) (int, error) {
	n, err := r.in.Read(into)
	if n > 0 {
		r.clocks.piece(true)
	}
	return n, err
}
