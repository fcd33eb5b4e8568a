package simulated_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// startMessages makes a server with faults and a provider that calls it in the
// format of Messages.
func startMessages(t *testing.T, faults simulated.Faults) (*simulated.Server, *anthropic.Provider) {
	t.Helper()
	server := newServer(t, simulated.Config{Seed: 7, Faults: &faults})
	provider := server.Anthropic()
	t.Cleanup(func() { _ = provider.Close() })
	return server, provider
}

func TestEachKindOfFaultInMessages(t *testing.T) {
	t.Parallel()
	eachKindOfFault(t, "3", "/v1/messages", func(t *testing.T, faults simulated.Faults) (*simulated.Server, providers.Provider) {
		t.Helper()
		return startMessages(t, faults)
	}, func(t *testing.T, kind string, got providers.Error) bool {
		t.Helper()
		if kind == string(providers.Overloaded) && got.HTTPStatus != 529 {
			t.Errorf("overloaded with status %d, want Anthropic's own 529", got.HTTPStatus)
		}
		return false
	})
}

func TestMessagesUsageLengthAndTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, provider := startMessages(t, simulated.Faults{
			OutputTokens: simulated.Range{Min: 101, Max: 101},
			Latency:      simulated.Duration(time.Second), PerToken: simulated.Duration(10 * time.Millisecond),
		})
		began := time.Now()
		got, err := provider.Call(t.Context(), prompt("0123456789012345678901234567890123456789"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if u := got.Usage; u.InputTokens != 14 || u.OutputTokens != 101 || got.FinishReason != "stop" || got.RequestID == "" {
			t.Errorf("got %+v, finish %q, request %q", u, got.FinishReason, got.RequestID)
		}
		if took := time.Since(began); took != 2*time.Second || got.TimeToFirstToken != time.Second {
			t.Errorf("got %s and %s to the first token, want 2s and 1s", took, got.TimeToFirstToken)
		}
		if words := len(strings.Fields(content(t, got.Body))); words != 101 {
			t.Errorf("the answer has %d words", words)
		}
		req := prompt("x")
		req.Body = json.RawMessage(`{"messages":[{"role":"system","content":"y"},{"role":"user","content":"x"}],"max_tokens":7}`)
		got, err = provider.Call(t.Context(), req, nil)
		if err != nil || got.Usage.OutputTokens != 7 || got.FinishReason != "length" {
			t.Errorf("max_tokens 7: got %+v, finish %q, error %v", got.Usage, got.FinishReason, err)
		}
	})
}

// TestMessagesRPM: who waits as told is let in, who does not is not.
func TestMessagesRPM(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, provider := startMessages(t, simulated.Faults{RPM: 2})
		call := func() providers.Error {
			_, err := provider.Call(t.Context(), prompt("x"), nil)
			return failureOf(t, err)
		}
		for i := range 2 {
			if got := call(); got.Class != "" {
				t.Fatalf("call %d: got %s", i, got.Class)
			}
		}
		got := call()
		if got.Class != providers.RateLimited || got.RetryAfter != time.Minute {
			t.Fatalf("got %s, hint %s; want rate_limited with the reset of all, 1m", got.Class, got.RetryAfter)
		}
		time.Sleep(30*time.Second - time.Millisecond)
		if got := call(); got.Class != providers.RateLimited {
			t.Errorf("a millisecond early: got %q", got.Class)
		}
		time.Sleep(time.Millisecond)
		if got := call(); got.Class != "" {
			t.Errorf("in time: got %s", got.Class)
		}
	})
}

func TestMessagesAsTheyAre(t *testing.T) {
	t.Parallel()
	server := newServer(t, simulated.Config{Faults: &simulated.Faults{OutputTokens: simulated.Range{Min: 3, Max: 3}}})
	ask := func(version, body string) (int, string) {
		answer := httptest.NewRecorder()
		req := httptest.NewRequestWithContext(t.Context(), "POST", "/v1/messages", strings.NewReader(body))
		req.Header.Set("Anthropic-Version", version)
		server.ServeHTTP(answer, req)
		return answer.Code, answer.Body.String()
	}
	const good = `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}]}`
	code, body := ask("2023-06-01", good)
	if code != 200 || !strings.Contains(body, `"stop_reason":"end_turn"`) || !strings.Contains(body, `"output_tokens":3`) ||
		!strings.Contains(body, `"content":[{"text":"`) {
		t.Errorf("got %d %s", code, body)
	}
	for _, c := range []struct{ version, body, says string }{
		{"", good, "anthropic-version"},
		{"2023-06-01", `[]`, "JSON object"},
		{"2023-06-01", strings.Replace(good, `"model"`, `"m"`, 1), "model"},
		{"2023-06-01", strings.Replace(good, `"max_tokens"`, `"m"`, 1), "max_tokens"},
		{"2023-06-01", strings.Replace(good, `5`, `0`, 1), "max_tokens"},
		{"2023-06-01", strings.Replace(good, `"messages"`, `"m"`, 1), "messages"},
	} {
		code, body := ask(c.version, c.body)
		if code != 400 || !strings.Contains(body, c.says) ||
			!strings.Contains(body, `"type":"invalid_request_error"`) {
			t.Errorf("%s: got %d %s, want 400 with %s", c.body, code, body, c.says)
		}
	}
}
