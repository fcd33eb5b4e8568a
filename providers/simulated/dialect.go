package simulated

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// refusal is how a wire format words an answer that is not 2xx.
type refusal struct {
	status     int
	code, kind string
}

// dialect is how a wire format words what the calls of all have in common.
type dialect struct {
	// idHeader names a call.
	idHeader string
	// refusals are those of the fault kinds that are an error class.
	refusals map[string]refusal
	// body is an error's, wrong that of a bad request, failed that of a failure
	// inside an answer.
	body          func(r refusal, message string) any
	wrong, failed refusal
	// hinted is a body that also says when to come again: after so many seconds.
	// Nil: a header does.
	hinted func(r refusal, message, retryAfter string) any
	// model is the model asked for.
	model func(r *http.Request, body []byte) string
	// limits says in headers how much of rpm is left, and that all of it is back
	// after full.
	limits func(header http.Header, rpm, left int, now time.Time, full time.Duration)
}

// modelOfBody is the model that a body names. The endpoint refuses what is not
// JSON.
func modelOfBody(_ *http.Request, body []byte) string {
	var named struct {
		Model string `json:"model"`
	}
	_ = json.Unmarshal(body, &named)
	return named.Model
}

// openAI is the dialect of chat completions, embeddings and Responses.
var openAI = dialect{
	idHeader: "X-Request-Id",
	refusals: map[string]refusal{
		string(providers.RateLimited):     {429, "rate_limit_exceeded", "requests"},
		string(providers.QuotaExhausted):  {429, "insufficient_quota", "insufficient_quota"},
		string(providers.Overloaded):      {503, "", "overloaded_error"},
		string(providers.ServerError):     {500, "", "server_error"},
		string(providers.ContentFiltered): {400, "content_filter", "invalid_request_error"},
		string(providers.BadRequest):      {400, "", "invalid_request_error"},
		string(providers.Authentication):  {401, "invalid_api_key", "invalid_request_error"},
		string(providers.Permission):      {403, "", "permission_error"},
		string(providers.NotFound):        {404, "model_not_found", "invalid_request_error"},
		string(providers.ContextLength):   {400, "context_length_exceeded", "invalid_request_error"},
	},
	body:   func(r refusal, message string) any { return errorObject(r.code, r.kind, message) },
	wrong:  refusal{400, "", "invalid_request_error"},
	failed: refusal{500, "", "server_error"},
	model:  modelOfBody,
	limits: func(header http.Header, rpm, left int, _ time.Time, full time.Duration) {
		header.Set("X-Ratelimit-Limit-Requests", strconv.Itoa(rpm))
		header.Set("X-Ratelimit-Remaining-Requests", strconv.Itoa(left))
		header.Set("X-Ratelimit-Reset-Requests", max(full.Round(time.Millisecond), time.Millisecond).String())
	},
}

// anthropicWords are messages of errors that have no type of their own in
// Messages.
var anthropicWords = map[string]string{
	string(providers.ContentFiltered): "Output blocked by content filtering policy",
	string(providers.ContextLength):   "prompt is too long: simulated",
}

// messages is the dialect of Anthropic's Messages.
var messages = dialect{
	idHeader: "Request-Id",
	refusals: map[string]refusal{
		string(providers.RateLimited):     {429, "", "rate_limit_error"},
		string(providers.QuotaExhausted):  {402, "", "billing_error"},
		string(providers.Overloaded):      {529, "", "overloaded_error"},
		string(providers.ServerError):     {500, "", "api_error"},
		string(providers.ContentFiltered): {400, string(providers.ContentFiltered), "invalid_request_error"},
		string(providers.BadRequest):      {400, "", "invalid_request_error"},
		string(providers.Authentication):  {401, "", "authentication_error"},
		string(providers.Permission):      {403, "", "permission_error"},
		string(providers.NotFound):        {404, "", "not_found_error"},
		string(providers.ContextLength):   {400, string(providers.ContextLength), "invalid_request_error"},
	},
	body: func(r refusal, message string) any {
		if words := anthropicWords[r.code]; words != "" {
			message = words
		}
		return map[string]any{
			"type": "error", "request_id": nil, "error": map[string]any{"type": r.kind, "message": message},
		}
	},
	wrong:  refusal{400, "", "invalid_request_error"},
	failed: refusal{500, "", "api_error"},
	model:  modelOfBody,
	limits: func(header http.Header, rpm, left int, now time.Time, full time.Duration) {
		header.Set("Anthropic-Ratelimit-Requests-Limit", strconv.Itoa(rpm))
		header.Set("Anthropic-Ratelimit-Requests-Remaining", strconv.Itoa(left))
		reset := now.Add(full + time.Second - 1).UTC() // in whole seconds, rounded up
		header.Set("Anthropic-Ratelimit-Requests-Reset", reset.Format(time.RFC3339))
	},
}
