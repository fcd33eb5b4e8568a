package simulated

import (
	"net/http"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// googleWords are messages of errors that have no word of their own in Gemini.
var googleWords = map[string]string{
	string(providers.Authentication): "API key not valid. Please pass a valid API key.",
	string(providers.ContextLength):  "The input token count (2) exceeds the maximum number of tokens allowed (1).",
}

// generating is the dialect of Gemini's generateContent. A refusal's kind is its
// status there. A prompt that is filtered out is answered with 200.
var generating = dialect{
	idHeader: "X-Request-Id",
	refusals: map[string]refusal{
		string(providers.RateLimited):     {429, "", "RESOURCE_EXHAUSTED"},
		string(providers.QuotaExhausted):  {429, string(providers.QuotaExhausted), "RESOURCE_EXHAUSTED"},
		string(providers.Overloaded):      {503, "", "UNAVAILABLE"},
		string(providers.ServerError):     {500, "", "INTERNAL"},
		string(providers.ContentFiltered): {200, string(providers.ContentFiltered), ""},
		string(providers.BadRequest):      {400, "", "INVALID_ARGUMENT"},
		string(providers.Authentication):  {400, string(providers.Authentication), "INVALID_ARGUMENT"},
		string(providers.Permission):      {403, "", "PERMISSION_DENIED"},
		string(providers.NotFound):        {404, "", "NOT_FOUND"},
		string(providers.ContextLength):   {400, string(providers.ContextLength), "INVALID_ARGUMENT"},
	},
	body:   func(r refusal, message string) any { return googleError(r, message, "") },
	hinted: googleError,
	wrong:  refusal{400, "", "INVALID_ARGUMENT"},
	failed: refusal{500, "", "INTERNAL"},
	model: func(r *http.Request, _ []byte) string {
		model, _ := splitCall(r)
		return model
	},
	limits: func(http.Header, int, int, time.Time, time.Duration) {}, // Gemini does not say
}

// googleError is an error as google.rpc.Status has it.
func googleError(r refusal, message, retryAfter string) any {
	if r.code == string(providers.ContentFiltered) {
		return map[string]any{"promptFeedback": map[string]any{"blockReason": "PROHIBITED_CONTENT"}}
	}
	if words := googleWords[r.code]; words != "" {
		message = words
	}
	inner := map[string]any{"code": r.status, "message": message, "status": r.kind}
	var details []any
	switch r.code {
	case string(providers.QuotaExhausted):
		quota := map[string]any{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}
		details = append(details, detail("QuotaFailure", "violations", []any{quota}))
	case string(providers.Authentication):
		details = append(details, detail("ErrorInfo", "reason", "API_KEY_INVALID"))
	}
	if retryAfter != "" {
		details = append(details, detail("RetryInfo", "retryDelay", retryAfter+"s"))
	}
	if details != nil {
		inner["details"] = details
	}
	return map[string]any{"error": inner}
}

// detail is one of google.rpc's kinds of error details.
func detail(kind, member string, value any) map[string]any {
	return map[string]any{"@type": "type.googleapis.com/google.rpc." + kind, member: value}
}
