package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
)

// azure is a server that insists on the shape of Azure: the deployment in the
// path, a version in the query, the key in a header of its own and nowhere else.
func azure(w http.ResponseWriter, req *http.Request) {
	refuse := func(status int, format string, args ...any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":{"code":"%d","message":%q}}`, status, fmt.Sprintf(format, args...))
	}
	deployment, endpoint, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/openai/deployments/"), "/")
	switch {
	case req.Header.Get("Api-Key") != "key-two" || req.Header.Get("Authorization") != "":
		refuse(401, "Access denied due to invalid subscription key")
	case req.URL.Query().Get("api-version") != "2025-04-01-preview":
		refuse(404, "Resource not found: %s", req.URL)
	case deployment != "gpt five" || endpoint != "chat/completions" && endpoint != "embeddings":
		refuse(404, "The API deployment for this resource does not exist: %s", req.URL.Path)
	case req.Header.Get("X-Ms-Project") != "penstock":
		refuse(400, "x-ms-project is missing")
	case endpoint == "embeddings":
		_, _ = io.WriteString(w, `{"object":"list","data":[{"embedding":[1]}]}`)
	default:
		w.Header().Set("Content-Type", "text/event-stream")
		for _, data := range []string{
			`{"choices":[],"model":"","prompt_filter_results":[{"prompt_index":0}]}`,
			`{"choices":[{"delta":{"role":"assistant","content":"hi"}}],"model":"gpt-5"}`,
			`{"choices":[{"delta":{},"finish_reason":"stop"}],"model":"gpt-5"}`, "[DONE]",
		} {
			_, _ = fmt.Fprintf(w, "data: %s\n\n", data)
		}
	}
}

func TestAzure(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(azure))
	t.Cleanup(server.Close)
	p, _, err := buildOne(t, `
providers:
  p:
    type: openai
    url: "${RESOURCE}/openai/deployments/{model}/{endpoint}?api-version=2025-04-01-preview"
    auth: {header: api-key}
    headers: {x-ms-project: "${PROJECT}"}
    api_keys: [key-one, key-two]
`, io.Discard, "RESOURCE", server.URL, "PROJECT", "penstock")
	if err != nil {
		t.Fatal(err)
	}
	req := request()
	req.Model = "gpt five"
	got, err := p.Call(t.Context(), req, nil)
	if err != nil || got.Model != "gpt-5" || got.FinishReason != "stop" {
		t.Errorf("chat completion: got %+v, %v", got, err)
	}
	req.Endpoint, req.Body = providers.Embeddings, json.RawMessage(`{"input":"a"}`)
	if _, err := p.Call(t.Context(), req, nil); err != nil {
		t.Errorf("embeddings: %v", err)
	}
	for _, model := range []string{"..", "gpt", "gpt five/embeddings?", ""} {
		req := request()
		req.Model = model
		if _, err := p.Call(t.Context(), req, nil); providers.ClassOf(err) != providers.NotFound {
			t.Errorf("model %q: got %v, want not_found", model, err)
		}
	}
}

// A key behind another scheme than the format's own.
func TestAuthScheme(t *testing.T) {
	t.Parallel()
	for format, body := range okBody {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Header.Get("Authorization") != "Token key-one" || req.Header.Get("X-Api-Key") != "" {
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		p, _, err := buildOne(t, "providers: {p: {type: "+format+", base_url: '"+server.URL+
			"', api_key: key-one, auth: {header: Authorization, scheme: Token}}}", io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Call(t.Context(), request(), nil); err != nil {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func TestWrongAddressesAndHeadersAreNamedByTheirField(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"url: 'https://{resource}.azure.com/{endpoint}'":    "providers.p.url: has {resource}",
		"url: 'https://${NOPE}/{endpoint}'":                 "providers.p.url: expected the environment variable NOPE",
		"url: 'https://h/{endpoint}', base_url: 'http://h'": "providers.p: expected base_url or url",
		"headers: {'a b': v}":                               "providers.p.headers.a b: is not a header's name",
		"headers: {x-a: \"hunter2\\n\"}":                    "providers.p.headers.x-a: contains a character",
		"headers: {x-a: '${NOPE}'}":                         "providers.p.headers.x-a: expected the environment variable NOPE",
		"headers: {Content-Length: '5'}":                    "providers.p.headers.Content-Length: is not for",
		"headers: {X: 5, Host: h}":                          "providers.p.headers.Host: is not for",
		"auth: {scheme: Bearer}":                            "providers.p.auth.header: expected a header's name",
		"auth: {header: host}":                              "providers.p.auth.header: is not for",
		"auth: {header: api-key, scheme: 'a b'}":            "providers.p.auth.scheme: expected one word",
	} {
		for format := range okBody {
			_, _, err := buildOne(t, "providers: {p: {type: "+format+", "+file+"}}", io.Discard)
			e, ok := errors.AsType[*ConfigError](err)
			if !ok || !strings.HasPrefix(e.Error(), want) || strings.Contains(e.Error(), "hunter2") {
				t.Errorf("%s: got %v, want %q", file, err, want)
			}
		}
	}
	for _, file := range []string{"url: 'http://h/{endpoint}'", "headers: {}", "auth: {header: x}"} {
		_, _, err := buildOne(t, "providers: {p: {type: simulated, "+file+"}}", io.Discard)
		if e, ok := errors.AsType[*ConfigError](err); !ok || e.Key != "providers.p" {
			t.Errorf("%s: got %v", file, err)
		}
	}
}
