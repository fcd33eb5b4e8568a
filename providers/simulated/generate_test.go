package simulated_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/gemini"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// startGenerating makes a server with faults and a provider that calls it in
// Gemini's format.
func startGenerating(t *testing.T, faults simulated.Faults) (*simulated.Server, *gemini.Provider) {
	t.Helper()
	server := newServer(t, simulated.Config{Seed: 7, Faults: &faults})
	provider := server.Gemini()
	t.Cleanup(func() { _ = provider.Close() })
	return server, provider
}

func TestEachKindOfFaultInGemini(t *testing.T) {
	t.Parallel()
	eachKindOfFault(t, "3.5", "/v1beta/models/sim:streamGenerateContent", func(t *testing.T, faults simulated.Faults) (*simulated.Server, providers.Provider) {
		t.Helper()
		return startGenerating(t, faults)
	}, func(_ *testing.T, kind string, got providers.Error) bool {
		// Ahead of the first token Gemini has sent nothing at all.
		return kind == simulated.KindNoDone && got.Class == providers.Malformed
	})
}

func TestGeneratedUsageLengthAndTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, provider := startGenerating(t, simulated.Faults{
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
		if words := len(strings.Fields(content(t, got.Body))); words != 101 || got.Model != "sim" {
			t.Errorf("the answer of %s has %d words", got.Model, words)
		}
		req := prompt("x")
		req.Body = json.RawMessage(`{"messages":[{"role":"system","content":"y"},{"role":"user","content":"x"}],"max_tokens":7,"n":3}`)
		got, err = provider.Call(t.Context(), req, nil)
		if err != nil || got.Usage.OutputTokens != 21 || got.FinishReason != "length" || strings.Count(string(got.Body), `"index":`) != 3 {
			t.Errorf("3 of max_tokens 7: got %+v, finish %q, error %v: %s", got.Usage, got.FinishReason, err, got.Body)
		}
	})
}

// TestGeneratedRPM: who waits as told is let in, who does not is not.
func TestGeneratedRPM(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, provider := startGenerating(t, simulated.Faults{RPM: 2})
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
		if got.Class != providers.RateLimited || got.RetryAfter != 30*time.Second {
			t.Fatalf("got %s, hint %s; want rate_limited with 30s", got.Class, got.RetryAfter)
		}
		time.Sleep(got.RetryAfter - time.Millisecond)
		if got := call(); got.Class != providers.RateLimited {
			t.Errorf("a millisecond early: got %q", got.Class)
		}
		time.Sleep(time.Millisecond)
		if got := call(); got.Class != "" {
			t.Errorf("in time: got %s", got.Class)
		}
	})
}

// TestGeminiEmbeds: the same vectors as in embeddings, and as many tokens.
func TestGeminiEmbeds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, provider := startGenerating(t, simulated.Faults{Latency: simulated.Duration(time.Second)})
		other := server.Provider()
		t.Cleanup(func() { _ = other.Close() })
		for _, body := range []string{
			`{"model":"m","input":"a"}`, `{"model":"m","input":["a","b"],"dimensions":8}`, `{"model":"m","input":["a"],"encoding_format":"base64"}`,
		} {
			req := providers.Request{Endpoint: providers.Embeddings, Model: "m", Body: json.RawMessage(body)}
			got, err := provider.Call(t.Context(), req, nil)
			if err != nil {
				t.Fatal(err)
			}
			want, err := other.Call(t.Context(), req, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !sameVectors(t, got.Body, want.Body) || got.Usage != want.Usage || !got.Usage.Known || got.TimeToFirstToken != time.Second {
				t.Errorf("%s: got %+v, want %+v:\n%s\n%s", body, got.Usage, want.Usage, got.Body, want.Body)
			}
		}
	})
}

// sameVectors compares answers of embeddings as values.
func sameVectors(t *testing.T, a, b json.RawMessage) bool {
	t.Helper()
	var got, want any
	if err := errors.Join(json.Unmarshal(a, &got), json.Unmarshal(b, &want)); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(got, want)
}

func TestGeminiAsItIs(t *testing.T) {
	t.Parallel()
	server := newServer(t, simulated.Config{Faults: &simulated.Faults{OutputTokens: simulated.Range{Min: 3, Max: 3}}})
	const good = `{"contents":[{"role":"user","parts":[{"text":"x"}]}]}`
	const whole, streamed = "/v1beta/models/m-1:generateContent", "/v1beta/models/m-1:streamGenerateContent?alt=sse"
	const embed = "/v1beta/models/m-1:batchEmbedContents"
	answer := ask(server, "POST", whole, good)
	if body := answer.Body.String(); answer.Code != 200 || !strings.Contains(body, `"finishReason":"STOP"`) ||
		!strings.Contains(body, `"candidatesTokenCount":3`) || !strings.Contains(body, `"modelVersion":"m-1"`) ||
		!strings.Contains(body, `"content":{"parts":[{"text":"`) {
		t.Errorf("got %d %s", answer.Code, body)
	}
	answer = ask(server, "POST", streamed, good)
	if body := answer.Body.String(); answer.Code != 200 || strings.Count(body, "data: ") != 4 ||
		strings.Count(body, `"finishReason":"STOP"`) != 1 || strings.Contains(body, "[DONE]") {
		t.Errorf("got %d %s", answer.Code, body)
	}
	for _, c := range []struct {
		path, body string
		code       int
		says       string
	}{
		{whole, `[]`, 400, "JSON"},
		{streamed, `{"contents":[]}`, 400, "contents"},
		{whole, strings.Replace(good, "{", `{"generationConfig":{"maxOutputTokens":0},`, 1), 400, "max_output_tokens"},
		{whole, strings.Replace(good, "{", `{"generationConfig":{"candidateCount":9},`, 1), 400, "candidate_count"},
		{embed, `[]`, 400, "JSON"},
		{embed, `{"requests":[]}`, 400, "at most 100"},
		{embed, `{"requests":[{}` + strings.Repeat(",{}", 100) + `]}`, 400, "at most 100"},
		{embed, `{"requests":[{}]}`, 400, "content"},
		{embed, `{"requests":[{"content":{"parts":[{"text":"x"}]},"outputDimensionality":0}]}`, 400, "output_dimensionality"},
		{"/v1beta/models/m-1:countTokens", good, 404, "NOT_FOUND"},
		{"/v1beta/models/m-1:streamGenerateContent", good, 404, "NOT_FOUND"},
		{"/v1beta/models/m-1", good, 404, "NOT_FOUND"},
	} {
		answer := ask(server, "POST", c.path, c.body)
		if body := answer.Body.String(); answer.Code != c.code || !strings.Contains(body, c.says) || !strings.Contains(body, `"status":`) {
			t.Errorf("%s %s: got %d %s, want %d with %s", c.path, c.body, answer.Code, body, c.code, c.says)
		}
	}
}
