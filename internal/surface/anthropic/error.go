package anthropic

import (
	"net/http"
	"strings"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

// failure is how something that went wrong is answered.
type failure struct {
	code   jobs.Code
	status int
	// kind is one of the types of Anthropic's errors.
	kind    string
	message string
	// final says that repeating the request is of no use, or was done here already.
	final bool
}

// The types of Anthropic's errors.
const (
	invalidRequest = "invalid_request_error"
	authentication = "authentication_error"
	billing        = "billing_error"
	permission     = "permission_error"
	notFound       = "not_found_error"
	tooLarge       = "request_too_large"
	rateLimit      = "rate_limit_error"
	timedOut       = "timeout_error"
	apiError       = "api_error"
	overloaded     = "overloaded_error"
)

// statusOverloaded is Anthropic's own.
const statusOverloaded = 529

// kind is a status and a type of error.
type kind struct {
	status int
	name   string
}

// kinds is the one place where a code becomes a status and a type of error: codes of
// [jobs.Error], of the HTTP side, of jobs that ended without an answer, and of the
// providers' taxonomy. What is not here is an api_error.
var kinds = map[jobs.Code]kind{
	"invalid_field":         {http.StatusBadRequest, invalidRequest},
	"unknown_use_case":      {http.StatusBadRequest, invalidRequest},
	"conflict":              {http.StatusBadRequest, invalidRequest},
	"unknown_model":         {http.StatusNotFound, notFound},
	"not_found":             {http.StatusNotFound, notFound},
	"forbidden":             {http.StatusForbidden, permission},
	"method_not_allowed":    {http.StatusMethodNotAllowed, invalidRequest},
	"body_too_large":        {http.StatusRequestEntityTooLarge, tooLarge},
	"idempotency_mismatch":  {http.StatusUnprocessableEntity, invalidRequest},
	"rate_limited":          {http.StatusTooManyRequests, rateLimit},
	"store_unavailable":     {http.StatusServiceUnavailable, apiError},
	"redaction_unavailable": {http.StatusServiceUnavailable, apiError},
	"stopping":              {http.StatusServiceUnavailable, apiError},

	"bad_request":         {http.StatusBadRequest, invalidRequest},
	"context_length":      {http.StatusBadRequest, invalidRequest},
	"content_filtered":    {http.StatusBadRequest, invalidRequest},
	"authentication":      {http.StatusUnauthorized, authentication},
	"quota_exhausted":     {http.StatusPaymentRequired, billing},
	"budget_exceeded":     {http.StatusPaymentRequired, billing},
	"permission":          {http.StatusForbidden, permission},
	"dropped":             {http.StatusNotFound, notFound},
	"erased":              {http.StatusNotFound, notFound},
	"overloaded":          {statusOverloaded, overloaded},
	"unavailable":         {statusOverloaded, overloaded},
	"expired":             {http.StatusGatewayTimeout, timedOut},
	"timeout_connect":     {http.StatusGatewayTimeout, timedOut},
	"timeout_first_token": {http.StatusGatewayTimeout, timedOut},
	"timeout_stall":       {http.StatusGatewayTimeout, timedOut},
	"timeout_total":       {http.StatusGatewayTimeout, timedOut},
}

func kindOf(code jobs.Code) kind {
	if k, ok := kinds[code]; ok {
		return k
	}
	return kind{http.StatusInternalServerError, apiError}
}

// internalMessage is all that a caller learns of a failure that is ours.
const internalMessage = "something went wrong here; the log has it under this request_id"

// failureOf puts an error into words that a client may see.
func failureOf(e *jobs.Error) failure {
	k := kindOf(e.Code)
	f := failure{code: e.Code, status: k.status, kind: k.name, message: e.Message}
	f.final = k.status < http.StatusTooManyRequests
	switch {
	case k.status == http.StatusInternalServerError:
		f.message = internalMessage
	case e.Code == jobs.CodeStoreUnavailable:
		f.message = "the store cannot be reached: repeat the request"
	case e.Pointer != "":
		f.message = fieldOf(e.Pointer) + ": " + e.Message
	}
	return f
}

// fieldOf names a field as Anthropic's messages do: messages.0.role for
// /request/messages/0/role.
func fieldOf(pointer string) string {
	path := strings.TrimPrefix(strings.TrimPrefix(pointer, "/"), "request/")
	return strings.NewReplacer("/", ".", "~1", "/", "~0", "~").Replace(path)
}

// failureOfJob is why a job has no answer. What could be done about it has been done
// here, so that it is final; only of a job that was not tried at all it is not.
func failureOfJob(job jobs.Job) failure {
	if job.Error == nil {
		return failureOfCode(jobs.Code(job.Status), "the request ended without an answer")
	}
	return failureOfCode(jobs.Code(job.Error.Code), job.Error.Message)
}

func failureOfCode(code jobs.Code, message string) failure {
	k := kindOf(code)
	return failure{code: code, status: k.status, kind: k.name, message: message, final: code != jobs.CodeUnavailable}
}

// errorJSON is the body of an error, and the data of the event of that name.
type errorJSON struct {
	Type      string    `json:"type"`
	Error     errorBody `json:"error"`
	RequestID *string   `json:"request_id"`
}

type errorBody struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

// maxMessage bounds what is said about an error: it may quote the request.
const maxMessage = 2048

// body is f in Anthropic's shape. Without a request's id that is null.
func (f failure) body(requestID string) errorJSON {
	message := f.message
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage-len("…")], "") + "…"
	}
	out := errorJSON{Type: "error", Error: errorBody{f.kind, message}}
	if requestID != "" {
		out.RequestID = &requestID
	}
	return out
}

// setHeaders tells SDKs whether, and when, to try again.
func (f failure) setHeaders(h http.Header) {
	switch {
	case f.final:
		h.Set("X-Should-Retry", "false")
	case f.status == http.StatusTooManyRequests, f.status == http.StatusServiceUnavailable, f.status == statusOverloaded:
		surface.SetRetryAfter(h)
	}
}
