package openai_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/openai"
)

func TestOnlyOpenAIItselfHasResponsesUnlessSaid(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]bool{
		"": true, "https://api.openai.com/v1": true, "https://eu.api.openai.com/v1": true,
		"http://127.0.0.1:11434/v1": false, "https://api.openai.com.example/v1": false,
	} {
		if got := slices.Contains(openai.Config{BaseURL: base}.Serves(), providers.Responses); got != want {
			t.Errorf("%q: got %t, want %t", base, got, want)
		}
	}
	if slices.Contains(openai.Config{URL: "https://x.openai.azure.com/{model}"}.Serves(), providers.Responses) {
		t.Error("a server with addresses of its own has responses")
	}
	said := openai.Config{BaseURL: "http://local/v1", Endpoints: []string{providers.Responses}}
	if got := said.Serves(); !slices.Equal(got, said.Endpoints) {
		t.Errorf("got %v, want what was said", got)
	}
}

// TestNoServerKeepsAnythingOfAJob: what needs that is refused with the field, and
// not sent.
func TestNoServerKeepsAnythingOfAJob(t *testing.T) {
	t.Parallel()
	config := openai.Config{Endpoints: []string{providers.Responses}}
	provider := openWith(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }), config)
	for _, c := range []struct{ body, pointer string }{
		{`{"input":"x","previous_response_id":"resp_1"}`, "/previous_response_id"},
		{`{"input":"x","conversation":{"id":"conv_1"}}`, "/conversation"},
		{`{"input":"x","background":true}`, "/background"},
		{`{"input":"x","store":true}`, "/store"},
		{`{"input":[{"role":"user","content":"x"},{"type":"item_reference","id":"msg_1"}]}`, "/input/1"},
		{`{"input":[{"id":"msg_1"}]}`, "/input/0"},
	} {
		unsupported, ok := errors.AsType[*providers.UnsupportedError](config.Check(providers.Responses, json.RawMessage(c.body)))
		if !ok || unsupported.Pointer != c.pointer {
			t.Errorf("%s: got %v, want it refused at %s", c.body, unsupported, c.pointer)
		}
		req := providers.Request{Endpoint: providers.Responses, Body: json.RawMessage(c.body)}
		_, err := provider.Call(t.Context(), req, nil)
		if failure, ok := errors.AsType[*providers.Error](err); !ok || failure.Unsupported == nil {
			t.Errorf("%s: got %v, want an error that another target may not have", c.body, err)
		}
	}
	for _, body := range []string{
		`{"input":"x","background":false,"store":false,"previous_response_id":null,"conversation":null}`,
		`{"input":[{"type":"message","role":"user","content":"x"},{"type":"reasoning","id":"rs_1","encrypted_content":"x"}]}`,
		`{"input":7}`, `[]`, `null`,
	} {
		if err := config.Check(providers.Responses, json.RawMessage(body)); err != nil {
			t.Errorf("%s: got %v, want it left to the server", body, err)
		}
	}
	if err := config.Check(providers.ChatCompletions, json.RawMessage(`{}`)); err == nil {
		t.Error("an endpoint that the server has not is accepted")
	}
}
