package gemini

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// report is an error as google.rpc.Status has it.
type report struct {
	Code    int      `json:"code"`
	Message string   `json:"message"`
	Status  string   `json:"status"`
	Details []detail `json:"details"`
}

// detail is any of the kinds of google.rpc that say what to do:
// ErrorInfo, RetryInfo and QuotaFailure.
type detail struct {
	Reason     string      `json:"reason"`
	RetryDelay string      `json:"retryDelay"`
	Violations []violation `json:"violations"`
}

// violation names a quota that is used up.
type violation struct {
	QuotaMetric string `json:"quotaMetric"`
	QuotaID     string `json:"quotaId"`
}

// words are the values of status: the codes of google.rpc.Code.
var words = map[string]providers.Class{
	"INVALID_ARGUMENT":    providers.BadRequest,
	"FAILED_PRECONDITION": providers.BadRequest,
	"OUT_OF_RANGE":        providers.BadRequest,
	"UNAUTHENTICATED":     providers.Authentication,
	"PERMISSION_DENIED":   providers.Permission,
	"NOT_FOUND":           providers.NotFound,
	"RESOURCE_EXHAUSTED":  providers.RateLimited,
	"UNAVAILABLE":         providers.Overloaded,
	"ABORTED":             providers.ServerError,
	"CANCELLED":           providers.ServerError,
	"DATA_LOSS":           providers.ServerError,
	"DEADLINE_EXCEEDED":   providers.ServerError,
	"INTERNAL":            providers.ServerError,
	"UNKNOWN":             providers.ServerError,
}

// vague are classes that any more telling word overrules.
var vague = map[providers.Class]bool{providers.BadRequest: true, providers.ServerError: true}

// reasons are those of an ErrorInfo that say more than the status.
var reasons = map[string]providers.Class{
	"API_KEY_INVALID":  providers.Authentication,
	"BILLING_DISABLED": providers.QuotaExhausted,
}

// phrases are found in messages that say what has no word of its own.
var phrases = []struct {
	words string
	class providers.Class
}{
	{"exceeds the maximum number of tokens allowed", providers.ContextLength},
	{"request payload size exceeds the limit", providers.ContextLength},
	{"api key not valid", providers.Authentication},
	{"api key expired", providers.Authentication},
	{"user location is not supported", providers.Permission},
	{"responsible ai practices", providers.ContentFiltered},
	{"prepayment credits are depleted", providers.QuotaExhausted},
	{"spending cap", providers.QuotaExhausted},
}

// statusError classifies an answer that is not 2xx.
func statusError(status int, body []byte) *providers.Error {
	failure := readReport(body).failure(status, body)
	failure.Message = transport.Messages[failure.Class]
	return failure
}

// reportedError classifies an error inside an answer that began well.
func reportedError(body []byte) *providers.Error {
	said := readReport(body)
	status := said.Code
	if status < 400 || status > 599 {
		status = http.StatusInternalServerError
	}
	failure := said.failure(status, body)
	failure.Message = "inside the answer: " + transport.Messages[failure.Class]
	return failure
}

// readReport reads {"error":{…}}, or the same in an array, which is how a server
// says it that streams without server-sent events. Anything else says nothing.
func readReport(body []byte) report {
	var said struct {
		Error report `json:"error"`
	}
	var list []json.RawMessage
	if json.Unmarshal(body, &list) == nil && len(list) > 0 {
		body = list[0]
	}
	_ = json.Unmarshal(body, &said) // what is of another shape is left out
	return said.Error
}

// failure weighs the report against the status: the most telling word wins. It
// has no message of ours yet.
func (r report) failure(status int, body []byte) *providers.Error {
	failure := &providers.Error{Class: transport.ClassOfStatus(status), Detail: r.Message}
	if r.Message == "" {
		failure.Detail = string(body[:min(len(body), transport.MaxDetail)])
	}
	if said, known := words[r.Status]; known && (vague[failure.Class] || !vague[said]) {
		failure.Class = said
	}
	for _, d := range r.Details {
		failure.RetryAfter = max(failure.RetryAfter, providers.ParseDelay(d.RetryDelay))
		if said, known := reasons[d.Reason]; known {
			failure.Class = said
		}
		if failure.Class == providers.RateLimited && d.isOfDay() {
			failure.Class = providers.QuotaExhausted
		}
	}
	if vague[failure.Class] || failure.Class == providers.RateLimited {
		failure.Class = r.spoken(failure.Class)
	}
	return failure
}

// isOfDay says whether a quota is used up that comes back once a day: no hint is
// worth waiting for then.
func (d detail) isOfDay() bool {
	for _, v := range d.Violations {
		name := strings.ToLower(strings.ReplaceAll(v.QuotaID+v.QuotaMetric, "_", ""))
		if strings.Contains(name, "perday") {
			return true
		}
	}
	return false
}

// spoken is what the message says, or else class.
func (r report) spoken(class providers.Class) providers.Class {
	message := strings.ToLower(r.Message)
	for _, p := range phrases {
		if strings.Contains(message, p.words) {
			return p.class
		}
	}
	return class
}
