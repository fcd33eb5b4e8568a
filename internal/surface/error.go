package surface

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"

	"github.com/penstock-dev/penstock/jobs"
)

// Codes of a [jobs.Error] that only servers have.
const (
	CodeBodyTooLarge     jobs.Code = "body_too_large"
	CodeMethodNotAllowed jobs.Code = "method_not_allowed"
	CodeRateLimited      jobs.Code = "rate_limited"
	CodeForbidden        jobs.Code = "forbidden"
	CodeInternal         jobs.Code = "internal"
	// CodeStopping says that the process is about to stop: another will answer.
	CodeStopping jobs.Code = "stopping"
)

// Known returns the error with a code in err, or one that stands for it: a use that did
// not end in time is a store that cannot be reached, and what nobody foresaw is
// [CodeInternal].
func Known(err error) *jobs.Error {
	if e, ok := errors.AsType[*jobs.Error](err); ok {
		return e
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return jobs.Unavailable(err)
	}
	return &jobs.Error{Code: CodeInternal, Err: err}
}

// SetRetryAfter asks to come again in some seconds, spread so that those who were turned
// away do not come back together.
func SetRetryAfter(h http.Header) {
	h.Set("Retry-After", strconv.Itoa(1+rand.IntN(5))) //nolint:gosec // nobody gains by guessing it
}
