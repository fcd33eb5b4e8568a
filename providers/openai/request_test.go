package openai_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/openai"
	"github.com/penstock-dev/penstock/providers/providertest"
)

// seen is a request as the server got it.
type seen struct {
	method, path, body string
	header             http.Header
}

// record answers with reply and keeps the latest request.
func record(into *seen, reply http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*into = seen{r.Method, r.URL.Path, string(body), r.Header.Clone()}
		reply.ServeHTTP(w, r)
	})
}

var goodStream = providertest.Stream(
	`{"choices":[{"index":0,"delta":{"content":"Hi"}}]}`,
	`{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`,
	`[DONE]`,
)

var goodEmbedding = providertest.Whole(200,
	`{"object":"list","model":"e","data":[{"index":0,"embedding":[0.5]}],"usage":{"prompt_tokens":3,"total_tokens":3}}`)

var goodResponse = providertest.Whole(200, `{"object":"response","status":"completed","output":[{"type":"message"}]}`)

func TestBodyGoesThroughRaw(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, endpoint, body, want string
		config                     openai.Config
	}{
		{
			name: "order, unknown fields and number spelling stay", endpoint: providers.ChatCompletions,
			body: `{"zebra": {"b":1,"a":[1.50,1e3]}, "model":"default", "temperature":0.70, "html":"<&>", "x":null}`,
			want: `{"zebra":{"b":1,"a":[1.50,1e3]},"model":"m","temperature":0.70,"html":"<&>","x":null,` +
				`"stream":true,"stream_options":{"include_usage":true}}`,
		},
		{
			name: "stream options are added to", endpoint: providers.ChatCompletions,
			body: `{"stream":false,"stream_options":{"include_usage":false,"other":1}}`,
			want: `{"stream":true,"stream_options":{"include_usage":true,"other":1},"model":"m"}`,
		},
		{
			name: "stream options null", endpoint: providers.ChatCompletions,
			body: `{"stream_options":null}`,
			want: `{"stream_options":{"include_usage":true},"model":"m","stream":true}`,
		},
		{
			name: "no stream options", endpoint: providers.ChatCompletions, config: openai.Config{NoStreamOptions: true},
			body: `{"stream_options":{"include_usage":true}}`, want: `{"model":"m","stream":true}`,
		},
		{
			name: "embeddings", endpoint: providers.Embeddings,
			body: `{"input":"x","model":"default","dimensions":8}`, want: `{"input":"x","model":"m","dimensions":8}`,
		},
		{
			name: "responses are streamed and never stored", endpoint: providers.Responses,
			body: `{"zebra":1.50,"model":"default","input":"x","stream":false,"store":false,"include":["a"]}`,
			want: `{"zebra":1.50,"model":"m","input":"x","stream":true,"store":false,"include":["a"]}`,
		},
		{
			name: "responses that say nothing of it are not stored either", endpoint: providers.Responses,
			body: `{"input":"x"}`, want: `{"input":"x","model":"m","stream":true,"store":false}`,
		},
		{
			name: "responses of a server that cannot stream", endpoint: providers.Responses,
			config: openai.Config{NoStreaming: true},
			body:   `{"input":"x","stream":true}`, want: `{"input":"x","stream":false,"model":"m","store":false}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got seen
			reply := map[string]providertest.Reply{
				providers.ChatCompletions: goodStream, providers.Embeddings: goodEmbedding, providers.Responses: goodResponse,
			}[c.endpoint]
			c.config.Endpoints = []string{c.endpoint}
			provider := openWith(t, record(&got, reply), c.config)
			req := providers.Request{Endpoint: c.endpoint, Model: "m", Body: json.RawMessage(c.body)}
			if _, err := provider.Call(t.Context(), req, nil); err != nil {
				t.Fatal(err)
			}
			if got.body != c.want {
				t.Errorf("body\ngot  %s\nwant %s", got.body, c.want)
			}
			if want := c.endpoint; got.path != want || got.method != http.MethodPost {
				t.Errorf("got %s %s, want POST %s", got.method, got.path, want)
			}
		})
	}
}

func TestNoStreamingAsksForAWholeAnswer(t *testing.T) {
	t.Parallel()
	var got seen
	reply := providertest.Whole(200, `{"choices":[{"message":{"content":"Hi"},"finish_reason":"stop"}]}`)
	provider := openWith(t, record(&got, reply), openai.Config{NoStreaming: true})
	req := providers.Request{
		Endpoint: providers.ChatCompletions, Model: "m", Body: json.RawMessage(`{"stream":true,"stream_options":{},"n":1}`),
	}
	if _, err := provider.Call(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	if want := `{"n":1,"model":"m"}`; got.body != want {
		t.Errorf("got %s, want %s", got.body, want)
	}
}

func TestHeaders(t *testing.T) {
	t.Parallel()
	var got seen
	provider := openWith(t, record(&got, goodStream), openai.Config{
		Headers: map[string]openai.Secret{"api-key": "k2", "X-Title": "t"}, UserAgent: "agent/1",
	})
	req := providers.Request{Endpoint: providers.ChatCompletions, Model: "m", Body: json.RawMessage(`{}`), IdempotencyKey: "e-3"}
	if _, err := provider.Call(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Authorization": "Bearer " + providertest.Key, "Idempotency-Key": "e-3", "User-Agent": "agent/1",
		"Api-Key": "k2", "X-Title": "t", "Content-Type": "application/json",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.header.Get(name), want)
		}
	}
}

func TestWrongRequestsAreNotSent(t *testing.T) {
	t.Parallel()
	provider := open(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	for name, req := range map[string]providers.Request{
		"endpoint": {Endpoint: "/v1/images", Body: json.RawMessage(`{}`)},
		"array":    {Endpoint: providers.ChatCompletions, Body: json.RawMessage(`[]`)},
		"null":     {Endpoint: providers.ChatCompletions, Body: json.RawMessage(`null`)},
		"empty":    {Endpoint: providers.ChatCompletions},
		"broken":   {Endpoint: providers.ChatCompletions, Body: json.RawMessage(`{"a":`)},
		"two":      {Endpoint: providers.ChatCompletions, Body: json.RawMessage(`{}{}`)},
		"key":      {Endpoint: providers.ChatCompletions, Body: json.RawMessage(`{}`), IdempotencyKey: "a\r\nb"},
	} {
		_, err := provider.Call(t.Context(), req, nil)
		if failure, ok := errors.AsType[*providers.Error](err); !ok || failure.Class != providers.BadRequest {
			t.Errorf("%s: got %v, want bad_request", name, err)
		}
	}
}
