package transport

import (
	"net/http"

	"github.com/penstock-dev/penstock/providers"
)

// ClassOfStatus is what a status means when the body says no more.
//
// 408 and 504 are the server's own timeouts, not one of ours, and 409 is how
// OpenAI reports a lock that was not had in time: all three are worth a retry.
// 413 may fit another target.
func ClassOfStatus(status int) providers.Class {
	switch status {
	case http.StatusUnauthorized:
		return providers.Authentication
	case http.StatusPaymentRequired:
		return providers.QuotaExhausted
	case http.StatusForbidden:
		return providers.Permission
	case http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusGone:
		return providers.NotFound
	case http.StatusRequestEntityTooLarge:
		return providers.ContextLength
	case http.StatusRequestTimeout, http.StatusConflict, http.StatusTooEarly:
		return providers.ServerError
	case http.StatusTooManyRequests:
		return providers.RateLimited
	case http.StatusServiceUnavailable, 498, 529: // Groq's and Anthropic's "no capacity"
		return providers.Overloaded
	}
	switch {
	case status >= 500:
		return providers.ServerError
	case status/100 == 3: // the base URL is wrong; redirects are not followed
		return providers.NotFound
	default:
		return providers.BadRequest
	}
}

// Messages are our own words for what a provider reported.
var Messages = map[providers.Class]string{
	providers.RateLimited:     "the provider limits the rate of calls",
	providers.QuotaExhausted:  "the account's quota or credit is used up",
	providers.Overloaded:      "the provider is overloaded",
	providers.ServerError:     "the provider failed",
	providers.ContentFiltered: "the provider's content filter refused the request",
	providers.BadRequest:      "the provider refused the request as wrong",
	providers.Authentication:  "the provider did not accept the API key",
	providers.Permission:      "the API key may not do this",
	providers.NotFound:        "the provider knows no such model or address",
	providers.ContextLength:   "the request is too large for the model or the account",
}
