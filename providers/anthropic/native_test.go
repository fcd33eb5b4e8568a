package anthropic_test

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/providertest"
)

// TestMessagesGoThroughRaw: what chat completions could not say as well.
func TestMessagesGoThroughRaw(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config     anthropic.Config
		body, want string
	}{
		{
			anthropic.Config{},
			`{"model":"default","max_tokens":5,"top_k":3,"thinking":{"type":"adaptive"},"temperature":0.50,"new":{"a":[1e3]},"stream":false,
			  "messages":[{"role":"user","content":[{"type":"text","text":"<&>","cache_control":{"type":"ephemeral"}}]}]}`,
			`{"model":"m","max_tokens":5,"top_k":3,"thinking":{"type":"adaptive"},"temperature":0.50,"new":{"a":[1e3]},"stream":true,
			  "messages":[{"role":"user","content":[{"type":"text","text":"<&>","cache_control":{"type":"ephemeral"}}]}]}`,
		},
		{anthropic.Config{NoStreaming: true}, `{"max_tokens":5,"stream":true}`, `{"max_tokens":5,"stream":false,"model":"m"}`},
	} {
		var got json.RawMessage
		var path string
		provider := openWith(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got, _ = io.ReadAll(r.Body)
			path = r.URL.Path
			providertest.Messages().Answers[0].Reply.ServeHTTP(w, r)
		}), c.config)
		req := providers.Request{Endpoint: providers.Messages, Model: "m", Body: json.RawMessage(c.body)}
		if err := anthropic.Check(req.Endpoint, req.Body); err != nil {
			t.Errorf("the check says %v", err)
		}
		_, err := provider.Call(t.Context(), req, nil)
		if asked := err == nil; asked == c.config.NoStreaming { // it then wants a whole answer
			t.Errorf("got %v", err)
		}
		if !equalJSON(t, string(got), c.want) {
			t.Errorf("asked %s, want %s", got, c.want)
		}
		if path != "/v1/messages" {
			t.Errorf("asked at %s", path)
		}
	}
}
