package openai

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// codes are the words of an error object, its code or else its type, that say
// more than the status. OpenAI's own, and those of compatible servers.
var codes = map[string]providers.Class{
	"insufficient_quota":                   providers.QuotaExhausted,
	"billing_hard_limit_reached":           providers.QuotaExhausted,
	"billing_not_active":                   providers.QuotaExhausted,
	"insufficient_balance":                 providers.QuotaExhausted,
	"context_length_exceeded":              providers.ContextLength,
	"exceed_context_size_error":            providers.ContextLength, // llama.cpp
	"context_window_exceeded":              providers.ContextLength,
	"model_not_found":                      providers.NotFound,
	"model_not_available":                  providers.NotFound,
	"deploymentnotfound":                   providers.NotFound, // Azure
	"notfounderror":                        providers.NotFound, // vLLM
	"content_filter":                       providers.ContentFiltered,
	"content_policy_violation":             providers.ContentFiltered,
	"responsibleaipolicyviolation":         providers.ContentFiltered,
	"rate_limit_exceeded":                  providers.RateLimited,
	"rate_limit_error":                     providers.RateLimited,
	"invalid_api_key":                      providers.Authentication,
	"authentication_error":                 providers.Authentication,
	"permission_error":                     providers.Permission,
	"unsupported_country_region_territory": providers.Permission,
	"overloaded_error":                     providers.Overloaded,
	"overloaded":                           providers.Overloaded,
	"engine_overloaded":                    providers.Overloaded,
	"service_unavailable":                  providers.Overloaded,
	"server_error":                         providers.ServerError,
	"internal_server_error":                providers.ServerError,
	"internalservererror":                  providers.ServerError,
	"vector_store_timeout":                 providers.ServerError,
	"data_residency_mismatch":              providers.Permission,
	"invalid_prompt":                       providers.ContentFiltered, // of Responses: flagged, not misspelled
	"bio_policy":                           providers.ContentFiltered,
	"misalignment_policy_violation":        providers.ContentFiltered,
	"image_content_policy_violation":       providers.ContentFiltered,
	"invalid_image":                        providers.BadRequest,
	"invalid_image_format":                 providers.BadRequest,
	"invalid_image_mode":                   providers.BadRequest,
	"invalid_image_url":                    providers.BadRequest,
	"invalid_base64_image":                 providers.BadRequest,
	"image_too_large":                      providers.BadRequest,
	"image_too_small":                      providers.BadRequest,
	"image_file_too_large":                 providers.BadRequest,
	"image_file_not_found":                 providers.BadRequest,
	"image_parse_error":                    providers.BadRequest,
	"empty_image_file":                     providers.BadRequest,
	"unsupported_image_media_type":         providers.BadRequest,
	"invalid_request_error":                providers.BadRequest,
	"badrequesterror":                      providers.BadRequest,
}

// vague are classes that any more telling word overrules.
var vague = map[providers.Class]bool{providers.BadRequest: true, providers.ServerError: true}

// report is an error object, whichever way the server writes it.
type report struct {
	code, kind, message string
	status              int // a code that is an HTTP status
}

// statusError classifies an answer that is not 2xx.
func statusError(status int, body []byte) *providers.Error {
	reply, _ := chat.ReadObject(body)
	said := readReport(reply, body)
	class := said.classFor(status)
	return &providers.Error{Class: class, Message: transport.Messages[class], Detail: said.message}
}

// reportsError says whether a 2xx body or a chunk is an error in disguise.
func reportsError(reply chat.Object) bool {
	return !chat.IsEmpty(reply["error"]) || chat.Text(reply["object"]) == "error"
}

// reportedError classifies an error inside an answer that began well.
func reportedError(reply chat.Object, body []byte) *providers.Error {
	said := readReport(reply, body)
	status := said.status
	if status == 0 {
		status = http.StatusInternalServerError
	}
	class := said.classFor(status)
	return &providers.Error{Class: class, Message: "inside the answer: " + transport.Messages[class], Detail: said.message}
}

// readReport knows {"error":{…}}, {"error":"…"}, {"object":"error",…} and
// {"message":"…"} or {"detail":…}. Anything else is its own explanation.
func readReport(reply chat.Object, body []byte) report {
	inner := reply
	if raw := reply["error"]; !chat.IsEmpty(raw) {
		if message := chat.Text(raw); message != "" {
			return report{message: message}
		}
		if o, err := chat.ReadObject(raw); err == nil {
			inner = o
		}
	}
	said := report{code: chat.Text(inner["code"]), kind: chat.Text(inner["type"]), message: chat.Text(inner["message"])}
	if said.code == "" && !chat.IsNull(inner["code"]) {
		_ = json.Unmarshal(inner["code"], &said.status)
	}
	if cause, err := chat.ReadObject(inner["innererror"]); err == nil && chat.Text(cause["code"]) != "" {
		said.code = chat.Text(cause["code"])
	}
	if said.status < 400 || said.status > 599 {
		said.status = 0
	}
	if said.message == "" {
		said.message = string(body[:min(len(body), transport.MaxDetail)])
	}
	return said
}

// classFor weighs the report against the status: the most telling word wins.
func (r report) classFor(status int) providers.Class {
	class := transport.ClassOfStatus(status)
	for _, word := range []string{r.code, r.kind} {
		said, known := codes[strings.ToLower(word)]
		tooLarge := class == providers.ContextLength && said == providers.RateLimited // Groq's 413
		if known && !tooLarge && (vague[class] || !vague[said]) {
			class = said
			break
		}
	}
	return r.outgrown(status, class)
}

// outgrown finds requests that are too large for the model or the account
// behind other words: vLLM and others say so in the message only, and OpenAI
// and Groq call a request above the whole limit per minute rate limited,
// though no waiting helps.
func (r report) outgrown(status int, class providers.Class) providers.Class {
	message := strings.ToLower(r.message)
	switch {
	case class == providers.RateLimited && strings.HasPrefix(message, "request too large"):
		return providers.ContextLength
	case class != providers.BadRequest || status/100 != 4:
		return class
	case strings.Contains(message, "maximum context length"),
		strings.Contains(message, "context window"),
		strings.Contains(message, "context size"):
		return providers.ContextLength
	default:
		return class
	}
}
