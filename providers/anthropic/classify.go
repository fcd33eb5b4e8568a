package anthropic

import (
	"net/http"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// kinds are the types of an error object.
var kinds = map[string]providers.Class{
	"invalid_request_error": providers.BadRequest,
	"authentication_error":  providers.Authentication,
	"billing_error":         providers.QuotaExhausted,
	"permission_error":      providers.Permission,
	"not_found_error":       providers.NotFound,
	"request_too_large":     providers.ContextLength,
	"rate_limit_error":      providers.RateLimited,
	"timeout_error":         providers.ServerError,
	"api_error":             providers.ServerError,
	"overloaded_error":      providers.Overloaded,
}

// vague are classes that any more telling word overrules: statuses without a
// type of their own come as invalid_request_error too.
var vague = map[providers.Class]bool{providers.BadRequest: true, providers.ServerError: true}

// phrases are found in messages that say what has no type of its own.
var phrases = []struct {
	words string
	class providers.Class
}{
	{"prompt is too long", providers.ContextLength},
	{"exceed context limit", providers.ContextLength},
	{"credit balance is too low", providers.QuotaExhausted},
	{"reached your specified api usage limits", providers.QuotaExhausted},
	{"blocked by content filtering policy", providers.ContentFiltered},
}

// statusError classifies an answer that is not 2xx. The type of its error
// counts, then the status.
func statusError(status int, body []byte) *providers.Error {
	class, message := classOf(body, transport.ClassOfStatus(status))
	return &providers.Error{Class: class, Message: transport.Messages[class], Detail: message}
}

// reportsError says whether a body is an error in disguise.
func reportsError(reply chat.Object) bool {
	return chat.Text(reply["type"]) == "error" || !chat.IsEmpty(reply["error"])
}

// reportedError classifies an error inside an answer that began well.
func reportedError(body []byte) *providers.Error {
	class, message := classOf(body, transport.ClassOfStatus(http.StatusInternalServerError))
	return &providers.Error{Class: class, Message: "inside the answer: " + transport.Messages[class], Detail: message}
}

// classOf reads {"type":"error","error":{"type":…,"message":…}}. Anything else
// is its own explanation.
func classOf(body []byte, class providers.Class) (providers.Class, string) {
	reply, _ := chat.ReadObject(body)
	message := chat.Text(chat.Member(reply["error"], "message"))
	kind := chat.Text(chat.Member(reply["error"], "type"))
	if said, known := kinds[kind]; known && (vague[class] || !vague[said]) {
		class = said
	}
	if message == "" {
		return class, string(body[:min(len(body), transport.MaxDetail)])
	}
	if vague[class] {
		lower := strings.ToLower(message)
		for _, p := range phrases {
			if strings.Contains(lower, p.words) {
				return p.class, message
			}
		}
	}
	return class, message
}
