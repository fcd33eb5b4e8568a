package providertest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
)

// Refusal is a request that a format cannot carry. Pointer is that of the field
// at fault. In Body @ stands for a good conversation.
type Refusal = struct{ Pointer, Body string }

// Refuses wants each request to endpoint refused: with the field, before any call,
// with nothing of the values where it could be logged, and by check in the same
// words.
func Refuses(t *testing.T, endpoint string, refusals []Refusal, open Open, check providers.Check) {
	t.Helper()
	provider := open(t, nobody(t))
	for _, c := range refusals {
		body := json.RawMessage(strings.Replace(c.Body, "@", `"messages":[{"role":"user","content":"x"}]`, 1))
		_, err := provider.Call(t.Context(), providers.Request{Endpoint: endpoint, Model: "m", Body: body}, nil)
		failure, ok := errors.AsType[*providers.Error](err)
		if !ok || failure.Class != providers.BadRequest || failure.Unsupported == nil {
			t.Errorf("%s: got %v, want bad_request for %s", body, err, c.Pointer)
			continue
		}
		if got := failure.Unsupported.Pointer; got != c.Pointer {
			t.Errorf("%s: got %s (%s), want %s", body, got, failure.Detail, c.Pointer)
		}
		if !strings.HasPrefix(failure.Detail, c.Pointer+": ") || strings.Contains(failure.Error(), c.Pointer) {
			t.Errorf("%s: the detail is %q, the error %q", body, failure.Detail, failure)
		}
		checked, ok := errors.AsType[*providers.UnsupportedError](check(endpoint, body))
		if !ok || *checked != *failure.Unsupported {
			t.Errorf("%s: check says %v, Call %v", body, checked, failure.Unsupported)
		}
	}
}

// RefusesEndpoint wants endpoint refused as a whole.
func RefusesEndpoint(t *testing.T, endpoint string, check providers.Check) {
	t.Helper()
	err := check(endpoint, json.RawMessage(`{"input":"x"}`))
	if unsupported, ok := errors.AsType[*providers.UnsupportedError](err); !ok || unsupported.Pointer != "" {
		t.Errorf("got %v, want the endpoint refused", err)
	}
}

// RefusesNoObject wants bodies refused that are no JSON object, before any call.
func RefusesNoObject(t *testing.T, endpoint string, open Open) {
	t.Helper()
	provider := open(t, nobody(t))
	for _, body := range []string{``, `{`, `[]`, `null`, `{}{}`} {
		req := providers.Request{Endpoint: endpoint, Model: "m", Body: json.RawMessage(body)}
		_, err := provider.Call(t.Context(), req, nil)
		if providers.ClassOf(err) != providers.BadRequest {
			t.Errorf("%q: got %v, want bad_request", body, err)
		}
	}
}

// nobody is a server that must not be called.
func nobody(t *testing.T) http.Handler {
	t.Helper()
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") })
}
