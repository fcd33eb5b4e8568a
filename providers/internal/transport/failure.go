package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/providers"
)

// MaxDetail bounds [providers.Error].Detail, in bytes. Call cuts what is longer.
const MaxDetail = 2 << 10

// unanswered classifies what kept an answer from beginning.
func unanswered(ctx context.Context, clocks *clocks, err error) *providers.Error {
	if ended := endedBy(ctx); ended != nil {
		return ended
	}
	failure := &providers.Error{Class: providers.Connection, Message: "no connection could be made", Err: safeCause(err)}
	if clocks.hasConnected() {
		failure.Message = "the connection broke before an answer came"
		return failure
	}
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		failure.Class = providers.TimeoutConnect
	}
	return failure
}

// interrupted classifies what kept an answer, once begun, from being whole.
func interrupted(ctx context.Context, err error) *providers.Error {
	if failure, ok := errors.AsType[*providers.Error](err); ok {
		own := *failure
		return &own
	}
	if ended := endedBy(ctx); ended != nil {
		return ended
	}
	return &providers.Error{
		Class: providers.Truncated, Message: "the connection broke inside the answer", Err: safeCause(err),
	}
}

// endedBy is the error of a call whose context ended: by one of its clocks or
// from outside. It is nil while the context lives.
func endedBy(ctx context.Context) *providers.Error {
	cause := context.Cause(ctx)
	if cause == nil {
		return nil
	}
	limit, ok := errors.AsType[expired](cause)
	if !ok {
		return &providers.Error{Class: providers.Cancelled, Message: "the call was cancelled", Err: ctx.Err()}
	}
	return &providers.Error{Class: limit.class, Message: timeoutMessages[limit.class] + limit.limit.String(), Err: limit}
}

var timeoutMessages = map[providers.Class]string{
	providers.TimeoutConnect:    "no connection within ",
	providers.TimeoutFirstToken: "no first token within ",
	providers.TimeoutStall:      "nothing more of the answer within ",
	providers.TimeoutTotal:      "no whole answer within ",
}

// safeCause is err if it is known to name hosts and system errors only.
// Others of net/http quote what the server sent.
func safeCause(err error) error {
	if cause, ok := errors.AsType[*net.OpError](err); ok {
		return cause
	}
	if cause, ok := errors.AsType[*net.DNSError](err); ok {
		return cause
	}
	if cause, ok := errors.AsType[syscall.Errno](err); ok {
		return cause
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	if errors.Is(err, io.EOF) {
		return io.EOF
	}
	return errors.New("HTTP exchange failed")
}

// obeyHints takes from the answer's headers how long to wait, unless its body
// said longer, and whether trying again is worth it at all.
func obeyHints(failure *providers.Error, header http.Header) {
	limited := failure.Class == providers.RateLimited
	hint := providers.ParseHint(header, limited, time.Now())
	failure.RetryAfter = max(failure.RetryAfter, hint.After)
	switch {
	case hint.Advice == providers.DoNotRetry && limited:
		failure.Class = providers.QuotaExhausted // waiting will not help
	case hint.Advice == providers.DoNotRetry && failure.HTTPStatus == http.StatusConflict:
		failure.Class = providers.BadRequest
	case hint.Advice == providers.DoRetry && failure.Class == providers.BadRequest:
		failure.Class = providers.ServerError
	}
}

// boundDetail cuts s to MaxDetail bytes of valid UTF-8.
func boundDetail(s string) string {
	if len(s) > MaxDetail {
		s = s[:MaxDetail]
		for len(s) > 0 && !utf8.RuneStart(s[len(s)-1]) {
			s = s[:len(s)-1]
		}
		if r, size := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && size == 1 {
			s = s[:len(s)-1]
		}
	}
	return s
}
