package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/penstock-dev/penstock/providers"
)

// okBody is an answer in any of the formats.
var okBody = map[string]string{
	"openai": `{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`,
	"anthropic": `{"type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"stop_reason":"end_turn",` +
		`"usage":{"input_tokens":1,"output_tokens":1}}`,
	"gemini": `{"candidates":[{"content":{"parts":[{"text":"hi"}]},"finishReason":"STOP"}]}`,
}

// request asks for a chat completion.
func request() providers.Request {
	return providers.Request{
		Endpoint: providers.ChatCompletions, Model: "m",
		Body: json.RawMessage(`{"model":"m","messages":[{"role":"user","content":"hello"}]}`),
	}
}

// buildOne builds the provider p of a file. What is logged goes to logTo.
func buildOne(t *testing.T, file string, logTo io.Writer, pairs ...string) (providers.Provider, *observed, error) {
	t.Helper()
	f, err := loadFile(RoleWorker, writeFile(t, file), env(pairs...))
	if err != nil {
		return nil, nil, err
	}
	o := newObserved(zerolog.New(logTo))
	all, err := buildProviders(f, o, nil)
	t.Cleanup(func() { closeAll(all) })
	return all["p"].provider, o, err
}

// A key that is refused is told of, and the next is used, in every format.
func TestKeysOfAProvider(t *testing.T) {
	t.Parallel()
	for format, body := range okBody {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			key := req.Header.Get("Authorization") + req.Header.Get("X-Api-Key") + req.Header.Get("X-Goog-Api-Key")
			if !strings.Contains(key, "key-in-the-file") {
				http.Error(w, "no", http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(w, body)
		}))
		t.Cleanup(server.Close)
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte("key-in-the-file\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var logged bytes.Buffer
		p, o, err := buildOne(t, `
providers:
  p:
    type: `+format+`
    base_url: `+server.URL+`
    api_key: ${KEY_A}
    api_keys: ["${KEY_B}", key-in-plain]
    api_key_files: ["${DIR}/key"]
`, &logged, "KEY_A", "key-one", "KEY_B", "key-two", "DIR", filepath.Dir(path))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Call(t.Context(), request(), nil); err != nil {
			t.Errorf("%s: %v", format, err)
		}
		if got := sumOf(t, o, "penstock_provider_keys_aside_total"); got != 3 {
			t.Errorf("%s: %v keys were put aside, want 3", format, got)
		}
		lines := logged.String()
		for _, name := range []string{`"key":"api_key"`, `"key":"api_keys.0"`, `"key":"api_keys.1"`} {
			if !strings.Contains(lines, name) {
				t.Errorf("%s: no line has %s: %s", format, name, lines)
			}
		}
		if strings.Contains(lines, "key-") {
			t.Errorf("%s: a key was logged: %s", format, lines)
		}
	}
}

func TestWrongKeysAreNamedByTheirField(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]string{
		"{type: openai, api_keys: [hunter2, '']}":                      "providers.p.api_keys.1",
		"{type: openai, api_keys: ['${A}', '${NOPE}']}":                "providers.p.api_keys.1",
		"{type: anthropic, api_key_file: /no/such/file}":               "providers.p.api_key_file",
		"{type: openai, api_key_files: ['${NOPE}']}":                   "providers.p.api_key_files.0",
		"{type: openai, api_key: \"hunter2\\n\"}":                      "providers.p.api_key",
		"{type: simulated, api_keys: [hunter2]}":                       "providers.p",
		"{type: openai, api_keys: [" + strings.Repeat("k,", 17) + "]}": "providers.p",
	} {
		_, _, err := buildOne(t, "providers: {p: "+file+"}", io.Discard, "A", "hunter2")
		e, ok := errors.AsType[*ConfigError](err)
		if !ok || e.Key != want || strings.Contains(e.Error(), "hunter2") {
			t.Errorf("%s: got %v, want key %s", file, err, want)
		}
	}
}

// What a provider serves under the same name is told of once it changes.
func TestAChangedModelIsLogged(t *testing.T) {
	t.Parallel()
	answers := []string{"fp_1", "fp_1", "fp_2", "fp_1"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"model":"m-1","system_fingerprint":"`+answers[0]+
			`","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}`)
		answers = answers[1:]
	}))
	t.Cleanup(server.Close)
	var logged bytes.Buffer
	p, o, err := buildOne(t, "providers: {p: {type: openai, base_url: '"+server.URL+"'}}", &logged)
	if err != nil {
		t.Fatal(err)
	}
	for range answers {
		if _, err := p.Call(t.Context(), request(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := sumOf(t, o, "penstock_model_changes_total"); got != 2 {
		t.Errorf("%v changes were counted, want 2", got)
	}
	lines := logged.String()
	if strings.Count(lines, "\n") != 1 || !strings.Contains(lines, `"was_fingerprint":"fp_1","is_model":"m-1","is_fingerprint":"fp_2"`) {
		t.Errorf("got %s, want one line about the change", lines)
	}
}
