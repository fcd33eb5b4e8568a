package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// problem is how every failure is answered: RFC 9457, with a code for programs
// to branch on. Its type is about:blank, so its title is the status's own.
type problem struct {
	Type      string       `json:"type"`
	Title     string       `json:"title"`
	Status    int          `json:"status"`
	Detail    string       `json:"detail"`
	Code      jobs.Code    `json:"code"`
	RequestID string       `json:"request_id"`
	Errors    []fieldError `json:"errors"`
}

// fieldError is one thing wrong with one field of the body.
type fieldError struct {
	// Pointer is the RFC 6901 JSON pointer of the field.
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// Codes that only the HTTP side has.
const (
	codeBodyTooLarge     = surface.CodeBodyTooLarge
	codeMethodNotAllowed = surface.CodeMethodNotAllowed
	codeRateLimited      = surface.CodeRateLimited
	codeForbidden        = surface.CodeForbidden
	codeInternal         = surface.CodeInternal
	// CodeLanesUnavailable says that nobody can tell how lanes are.
	CodeLanesUnavailable jobs.Code = "lanes_unavailable"
)

// statuses is the one place where a code becomes an HTTP status.
var statuses = map[jobs.Code]int{
	jobs.CodeInvalidField:         http.StatusBadRequest,
	jobs.CodeUnknownModel:         http.StatusBadRequest,
	jobs.CodeUnknownUseCase:       http.StatusBadRequest,
	codeForbidden:                 http.StatusForbidden,
	jobs.CodeNotFound:             http.StatusNotFound,
	codeMethodNotAllowed:          http.StatusMethodNotAllowed,
	jobs.CodeConflict:             http.StatusConflict,
	jobs.CodeSecretKeyMissing:     http.StatusConflict,
	jobs.CodeUnreadable:           http.StatusGone,
	jobs.CodeErased:               http.StatusGone,
	jobs.CodeDropped:              http.StatusGone,
	codeBodyTooLarge:              http.StatusRequestEntityTooLarge,
	jobs.CodeIdempotencyMismatch:  http.StatusUnprocessableEntity,
	codeRateLimited:               http.StatusTooManyRequests,
	codeInternal:                  http.StatusInternalServerError,
	jobs.CodeStoreUnavailable:     http.StatusServiceUnavailable,
	jobs.CodeRedactionUnavailable: http.StatusServiceUnavailable,
	CodeLanesUnavailable:          http.StatusServiceUnavailable,
}

// fieldErrors are all the things found wrong with one body.
type fieldErrors []fieldError

func (f fieldErrors) Error() string { return "invalid_field: " + f.detail() }

// detail says all of it in a line.
func (f fieldErrors) detail() string {
	lines := make([]string, len(f))
	for i, e := range f {
		lines[i] = e.Detail
		if e.Pointer != "" {
			lines[i] = e.Pointer + ": " + e.Detail
		}
	}
	return strings.Join(lines, "; ")
}

// problemOf puts err into words that a client may see. method is the
// request's: after one that changes something, an unreachable store leaves
// unknown whether it did.
func problemOf(err error, method string) problem {
	if fields, ok := errors.AsType[fieldErrors](err); ok {
		return newProblem(jobs.CodeInvalidField, fields.detail(), fields...)
	}
	if fields, ok := joinedFields(err); ok {
		return newProblem(jobs.CodeInvalidField, fields.detail(), fields...)
	}
	e := known(err)
	status, ok := statuses[e.Code]
	switch {
	case !ok || status == http.StatusInternalServerError:
		return newProblem(codeInternal, "something went wrong here; the log has it under this request_id")
	case e.Code == jobs.CodeStoreUnavailable:
		return newProblem(e.Code, unavailable(method))
	case e.Pointer != "":
		one := fieldErrors{{Pointer: e.Pointer, Detail: e.Message}}
		return newProblem(e.Code, one.detail(), one...)
	default:
		return newProblem(e.Code, e.Message)
	}
}

// joinedFields returns what is wrong by field, if err is several such errors and nothing
// else.
func joinedFields(err error) (all fieldErrors, ok bool) {
	several, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return nil, false
	}
	for _, one := range several.Unwrap() {
		if inner, ok := joinedFields(one); ok {
			all = append(all, inner...)
			continue
		}
		e, ok := one.(*jobs.Error) //nolint:errorlint // one that is wrapped says more than a field
		if !ok || e.Code != jobs.CodeInvalidField {
			return nil, false
		}
		all = append(all, fieldError{Pointer: e.Pointer, Detail: e.Message})
	}
	return all, true
}

// known returns the error with a code in err, or one that stands for it.
func known(err error) *jobs.Error {
	switch {
	case errors.Is(err, echo.ErrNotFound):
		return &jobs.Error{Code: jobs.CodeNotFound, Message: "there is nothing at this path; /openapi.yaml says what there is"}
	case errors.Is(err, echo.ErrMethodNotAllowed):
		return &jobs.Error{Code: codeMethodNotAllowed, Message: "this path does not take the method; see the header Allow"}
	default:
		return surface.Known(err)
	}
}

func unavailable(method string) string {
	if method == http.MethodGet || method == http.MethodHead {
		return "the store cannot be reached: repeat the request"
	}
	return "the store cannot be reached; whether the request took effect is unknown: repeat with the same key"
}

// Bounds of what is said about an error: it may quote the request.
const (
	maxFieldErrors = 20
	maxPointer     = 256
	maxDetail      = 2048
)

func newProblem(code jobs.Code, detail string, fields ...fieldError) problem {
	status := statuses[code]
	p := problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: shorten(detail, maxDetail), Code: code, Errors: []fieldError{},
	}
	for _, f := range fields[:min(len(fields), maxFieldErrors)] {
		p.Errors = append(p.Errors, fieldError{Pointer: shorten(f.Pointer, maxPointer), Detail: shorten(f.Detail, maxDetail)})
	}
	return p
}

// shorten cuts s to at most limit bytes and says so by an ellipsis.
func shorten(s string, limit int) string {
	const ellipsis = "…"
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len(ellipsis)], "") + ellipsis
}

// busy says that there is too much of something for now.
func busy(message string) error { return &jobs.Error{Code: codeRateLimited, Message: message} }

func writeProblem(x *exchange, p problem) error {
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests {
		surface.SetRetryAfter(x.header())
	}
	return x.Blob(p.Status, "application/problem+json", append(body, '\n'))
}
