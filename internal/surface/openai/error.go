package openai

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// apiError is a failure in OpenAI's words.
type apiError struct {
	status int
	// kind is the word under "type".
	kind string
	// code and param are null when empty.
	code, param, message string
	// again says that the same request may succeed if it is repeated: SDKs obey that.
	again bool
	// ours is the code that the log tells; cause is for the log alone.
	ours  jobs.Code
	cause error
}

// Error says the message.
func (e *apiError) Error() string { return string(e.ours) + ": " + e.message }

// Unwrap returns the cause.
func (e *apiError) Unwrap() error { return e.cause }

// The words under "type".
const (
	kindInvalid    = "invalid_request_error"
	kindRate       = "rate_limit_error"
	kindQuota      = "insufficient_quota"
	kindAuth       = "authentication_error"
	kindPermission = "permission_error"
	kindServer     = "server_error"
)

// refusals is the one place where a code of ours becomes what OpenAI would answer. A
// code that is not here is a failure of ours.
var refusals = map[jobs.Code]apiError{
	jobs.CodeInvalidField:         {status: http.StatusBadRequest, kind: kindInvalid},
	jobs.CodeUnknownModel:         {status: http.StatusNotFound, kind: kindInvalid, code: "model_not_found"},
	jobs.CodeUnknownUseCase:       {status: http.StatusBadRequest, kind: kindInvalid},
	surface.CodeForbidden:         {status: http.StatusForbidden, kind: kindPermission},
	jobs.CodeNotFound:             {status: http.StatusNotFound, kind: kindInvalid},
	surface.CodeMethodNotAllowed:  {status: http.StatusMethodNotAllowed, kind: kindInvalid},
	jobs.CodeConflict:             {status: http.StatusConflict, kind: kindInvalid},
	jobs.CodeSecretKeyMissing:     {status: http.StatusConflict, kind: kindInvalid},
	jobs.CodeUnreadable:           {status: http.StatusGone, kind: kindInvalid},
	jobs.CodeErased:               {status: http.StatusGone, kind: kindInvalid},
	jobs.CodeDropped:              {status: http.StatusGone, kind: kindInvalid},
	surface.CodeBodyTooLarge:      {status: http.StatusRequestEntityTooLarge, kind: kindInvalid},
	jobs.CodeIdempotencyMismatch:  {status: http.StatusUnprocessableEntity, kind: kindInvalid},
	surface.CodeRateLimited:       {status: http.StatusTooManyRequests, kind: kindRate, again: true},
	jobs.CodeStoreUnavailable:     {status: http.StatusServiceUnavailable, kind: kindServer, again: true},
	jobs.CodeRedactionUnavailable: {status: http.StatusServiceUnavailable, kind: kindServer, again: true},
	surface.CodeStopping:          {status: http.StatusServiceUnavailable, kind: kindServer, again: true},
}

// outcomes say what became of a job that has no answer, by the code of its error: what
// the provider would have said. Penstock has tried again where that was worth it, so a
// client need not.
var outcomes = map[string]apiError{
	string(providers.RateLimited):     {status: http.StatusTooManyRequests, kind: kindRate, code: "rate_limit_exceeded"},
	string(providers.QuotaExhausted):  {status: http.StatusTooManyRequests, kind: kindQuota, code: "insufficient_quota"},
	string(providers.Overloaded):      {status: http.StatusServiceUnavailable, kind: kindServer},
	string(providers.ServerError):     {status: http.StatusInternalServerError, kind: kindServer},
	string(providers.Connection):      {status: http.StatusBadGateway, kind: kindServer},
	string(providers.Truncated):       {status: http.StatusBadGateway, kind: kindServer},
	string(providers.Malformed):       {status: http.StatusBadGateway, kind: kindServer},
	string(providers.InvalidOutput):   {status: http.StatusBadGateway, kind: kindServer},
	string(providers.ContentFiltered): {status: http.StatusBadRequest, kind: kindInvalid, code: "content_filter"},
	string(providers.BadRequest):      {status: http.StatusBadRequest, kind: kindInvalid},
	string(providers.ContextLength):   {status: http.StatusBadRequest, kind: kindInvalid, code: "context_length_exceeded"},
	string(providers.Authentication):  {status: http.StatusUnauthorized, kind: kindAuth},
	string(providers.Permission):      {status: http.StatusForbidden, kind: kindPermission},
	string(providers.NotFound):        {status: http.StatusNotFound, kind: kindInvalid},
	jobs.CodeExpired:                  {status: http.StatusGatewayTimeout, kind: kindServer},
	jobs.CodeCancelled:                {status: http.StatusConflict, kind: kindInvalid},
	jobs.CodeUnavailable:              {status: http.StatusServiceUnavailable, kind: kindServer, again: true},
	jobs.CodeErased:                   {status: http.StatusGone, kind: kindInvalid},
	jobs.CodeDropped:                  {status: http.StatusGone, kind: kindInvalid},
	jobs.CodeUnreadable:               {status: http.StatusGone, kind: kindInvalid},
}

// errorOf says err in OpenAI's words.
func errorOf(err error) *apiError {
	if e, ok := err.(*apiError); ok { //nolint:errorlint // made here, and wrapped by nobody
		return e
	}
	known := surface.Known(err)
	e, ok := refusals[known.Code]
	if !ok {
		return &apiError{
			status: http.StatusInternalServerError, kind: kindServer, ours: surface.CodeInternal, cause: err, again: true,
			message: "something went wrong here; the log has it under this request id",
		}
	}
	e.ours, e.message, e.cause = known.Code, known.Message, err
	if e.code == "" {
		e.code = string(known.Code)
	}
	if e.param = paramOf(known.Pointer); e.param != "" {
		e.message = e.param + ": " + e.message
	}
	if known.Code == jobs.CodeStoreUnavailable {
		e.message = "the store cannot be reached: repeat the request"
	}
	return &e
}

// errorOfJob says why the job has no answer.
func errorOfJob(job jobs.Job) *apiError {
	why := job.Error
	if why == nil {
		why = &jobs.JobError{Code: jobs.CodeDropped, Message: "the answer is gone"}
	}
	e, ok := outcomes[why.Code]
	switch {
	case ok:
	case providers.Class(why.Code).IsTimeout():
		e = apiError{status: http.StatusGatewayTimeout, kind: kindServer}
	default:
		e = apiError{status: http.StatusInternalServerError, kind: kindServer}
	}
	e.ours, e.message = jobs.Code(why.Code), why.Message
	if e.code == "" {
		e.code = why.Code
	}
	return &e
}

// paramOf says a JSON pointer into a submission as OpenAI says a parameter:
// /request/tools/0/type is tools[0].type.
func paramOf(pointer string) string {
	pointer = strings.TrimPrefix(strings.TrimPrefix(pointer, "/request"), "/")
	if pointer == "" {
		return ""
	}
	var b strings.Builder
	for i, token := range strings.Split(pointer, "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		if _, err := strconv.Atoi(token); err == nil && i > 0 {
			b.WriteString("[" + token + "]")
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(token)
	}
	return shorten(b.String(), maxParam)
}

// Bounds of what is said about an error: it may quote the request.
const (
	maxParam   = 256
	maxMessage = 2048
)

// shorten cuts s to at most limit bytes.
func shorten(s string, limit int) string {
	const ellipsis = "…"
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit-len(ellipsis)], "") + ellipsis
}

// errorJSON has all four keys, always.
type errorJSON struct {
	Message string  `json:"message"`
	Type    string  `json:"type"`
	Param   *string `json:"param"`
	Code    *string `json:"code"`
}

type errorBody struct {
	Error errorJSON `json:"error"`
}

func (e *apiError) body() errorBody {
	return errorBody{errorJSON{Message: shorten(e.message, maxMessage), Type: e.kind, Param: orNull(e.param), Code: orNull(e.code)}}
}

// orNull returns nil for the zero value, which stands for not known.
func orNull[T comparable](v T) *T {
	if zero := *new(T); v == zero {
		return nil
	}
	return &v
}

// note keeps what went wrong for the log.
func (e *apiError) note(c *surface.Caller) {
	c.Code, c.Failure = e.ours, e.cause
}

func writeError(w http.ResponseWriter, c *surface.Caller, e *apiError) {
	e.note(c)
	h := w.Header()
	h.Set("X-Should-Retry", strconv.FormatBool(e.again))
	if e.again && (e.status == http.StatusServiceUnavailable || e.status == http.StatusTooManyRequests) {
		surface.SetRetryAfter(h)
	}
	c.Aborted = surface.WriteJSON(w, e.status, e.body()) != nil
}
