package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// private is said by callers and must be redacted wherever they say it; the
// marker itself is what the answers say.
const private = "zq7private"

// say submits a job with private words in every place that a caller has.
func (w *written) say(words string, header ...string) told {
	w.t.Helper()
	words += " " + private
	body := fmt.Sprintf(`{"request":{"model":"default","user":%[1]q,"metadata":{"k":%[1]q},"messages":[
		{"role":"system","content":%[1]q},
		{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":\"%[1]s\"}"}}]},
		{"role":"user","content":[{"type":"text","text":%[1]q}],"seed":7}],
		"response_format":{"type":"json_schema","json_schema":{"description":"\u007aq7private"}}},
		"metadata":{"k":%[1]q},"user":%[1]q}`, words)
	return w.get(http.MethodPost, "/v1/jobs", body, append(header, "Content-Type", "application/json", "Prefer", "wait=30")...)
}

// nowhere fails the test if the private words got anywhere.
func (w *written) nowhere() {
	w.t.Helper()
	for where, kept := range map[string]string{
		"store": w.store(), "Redis": w.redis(), "logs": w.logs(), "provider": strings.Join(w.oracle.calls(), "\n"),
	} {
		if in := found(kept, private); len(in) > 0 {
			w.t.Errorf("the %s holds %v", where, in)
		}
	}
}

// What the rules fit is never kept and never sent to a provider, wherever it is
// said. Without rules it is, which shows that the test would find it.
func TestRedactedWordsGetNowhere(t *testing.T) {
	t.Parallel()
	const rules = "redaction: {rules: [{pattern: '(?i)zq7[a-l]+', replace: never}, {pattern: zq7private, replace: '[redacted]'}]}\n"
	for name, begin := range map[string]func(*testing.T, string, ...string) *written{
		"embedded": startEmbedded, "servers": startServers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := begin(t, rules)
			for _, words := range []string{"please answer", "please refuse", "please break"} {
				if a := w.say(words); !strings.Contains(a.text, "[redacted]") {
					t.Errorf("%s: got %s, want redacted metadata", words, a.text)
				}
			}
			if asked := w.oracle.calls()[0]; strings.Count(asked, "[redacted]") != 6 || !strings.Contains(asked, `"seed":7`) {
				t.Errorf("the provider was asked %s", asked)
			}
			w.nowhere()
		})
	}
	t.Run("without rules", func(t *testing.T) {
		t.Parallel()
		w := startEmbedded(t, "")
		w.say("please answer")
		if len(found(w.store(), private)) == 0 || len(found(strings.Join(w.oracle.calls(), ""), private)) == 0 {
			t.Error("the private words are not found: the test cannot fail")
		}
	})
}

// While the operator's service does not serve, submissions are refused with 503
// and nothing of them is kept; what was accepted before is replayed under its key
// as soon as it serves again.
func TestRedactionByAServiceFailsClosed(t *testing.T) {
	t.Parallel()
	var down atomic.Bool
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if down.Load() || r.Header.Get("Authorization") != "Bearer hunter2" {
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write(body)
			return
		}
		redacted := strings.ReplaceAll(strings.ReplaceAll(string(body), private, "[redacted]"), `\u007aq7private`, "")
		_, kept, _ := strings.Cut(redacted, `"request"`)
		_, _ = io.WriteString(w, `{"request"`+kept)
	}))
	t.Cleanup(service.Close)
	w := startServers(t, "redaction: {url: '"+service.URL+"', api_key: '${REDACTOR}', timeout: 5s}\n", "REDACTOR=hunter2")
	first := w.say("please answer", "Idempotency-Key", "one")
	if first.Status != "succeeded" || !strings.Contains(first.text, "[redacted]") {
		t.Fatalf("got %s", first.text)
	}

	down.Store(true)
	body := fmt.Sprintf(`{"request":{"model":"default","messages":[{"role":"user","content":%q}]}}`, "never "+private)
	for _, key := range []string{"one", "two"} {
		a, err := w.ask(t.Context(), w.apis[0], http.MethodPost, "/v1/jobs", body, "Idempotency-Key", key)
		if err != nil || a.status != http.StatusServiceUnavailable || a.code != "redaction_unavailable" || a.retryAfter == "" {
			t.Errorf("while the service is down: got %d %s, Retry-After %q (%v)", a.status, a.code, a.retryAfter, err)
		}
	}
	if len(found(w.store(), "never ")) > 0 {
		t.Error("a submission that was not redacted was kept")
	}
	if logs := w.logs(); !strings.Contains(logs, "status 502") || strings.Contains(logs, "hunter2") {
		t.Error("the log does not say why, or says too much")
	}

	down.Store(false)
	if again := w.say("please answer", "Idempotency-Key", "one"); again.ID != first.ID {
		t.Errorf("again: got %s, want job %s", again.text, first.ID)
	}
	if n := len(w.oracle.calls()); n != 1 {
		t.Errorf("the provider was asked %d times, want once", n)
	}
	w.nowhere()
}
