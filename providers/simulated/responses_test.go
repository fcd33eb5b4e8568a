package simulated_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// question is a request to Responses that differs by what.
func question(what string) providers.Request {
	return providers.Request{
		Endpoint: providers.Responses, Model: "sim", Body: json.RawMessage(`{"input":"` + what + `"}`),
	}
}

// TestEachKindOfFaultInResponses: the same order arrives as the same class in
// either format.
func TestEachKindOfFaultInResponses(t *testing.T) {
	t.Parallel()
	for _, kind := range simulated.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				faults := simulated.Faults{Errors: map[string]float64{kind: 1}, RetryAfter: "3"}
				server, provider := start(t, faults)
				for i := range 10 {
					limits := providers.Timeouts{FirstToken: time.Minute, Stall: time.Minute}
					chat, req := prompt(fmt.Sprint(i)), question(fmt.Sprint(i))
					chat.Timeouts, req.Timeouts = limits, limits
					_, chatErr := provider.Call(t.Context(), chat, nil)
					_, err := provider.Call(t.Context(), req, nil)
					want, got := failureOf(t, chatErr), failureOf(t, err)
					// Where in the answer a fault strikes hangs on the body, which differs.
					stalled := kind == simulated.KindStall && got.Class.IsTimeout() && want.Class.IsTimeout()
					if got.Class != want.Class && !stalled || got.RetryAfter != want.RetryAfter {
						t.Errorf("call %d: got %s with hint %s, in chat completions %s with %s",
							i, got.Class, got.RetryAfter, want.Class, want.RetryAfter)
					}
				}
				synctest.Wait()
				if calls := server.Calls(); len(calls) != 20 || calls[1].Endpoint != providers.Responses {
					t.Errorf("the log says %+v", calls)
				}
			})
		})
	}
}

func TestResponsesUsageLengthAndTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, provider := start(t, simulated.Faults{
			OutputTokens: simulated.Range{Min: 101, Max: 101},
			Latency:      simulated.Duration(time.Second), PerToken: simulated.Duration(10 * time.Millisecond),
		})
		began := time.Now()
		got, err := provider.Call(t.Context(), question("0123456789012345678901234567890123456789"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if u := got.Usage; u.InputTokens != 14 || u.OutputTokens != 101 || got.FinishReason != "stop" {
			t.Errorf("got %+v, finish %q", u, got.FinishReason)
		}
		if took := time.Since(began); took != 2*time.Second || got.TimeToFirstToken != time.Second {
			t.Errorf("got %s and %s to the first token, want 2s and 1s", took, got.TimeToFirstToken)
		}
		req := question("x")
		req.Body = json.RawMessage(`{"instructions":"y","input":[{"role":"user","content":"x"}],"max_output_tokens":7}`)
		got, err = provider.Call(t.Context(), req, nil)
		if err != nil || got.Usage.OutputTokens != 7 || got.FinishReason != "length" {
			t.Errorf("max_output_tokens 7: got %+v, finish %q, error %v", got.Usage, got.FinishReason, err)
		}
	})
}

func TestResponsesAsTheyAre(t *testing.T) {
	t.Parallel()
	server := newServer(t, simulated.Config{Faults: &simulated.Faults{OutputTokens: simulated.Range{Min: 3, Max: 3}}})
	post := func(body string) (int, string) {
		answer := httptest.NewRecorder()
		server.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), "POST", providers.Responses, strings.NewReader(body)))
		return answer.Code, answer.Body.String()
	}
	code, body := post(`{"model":"m","input":"x"}`)
	if code != 200 || !strings.Contains(body, `"status":"completed"`) || !strings.Contains(body, `"output_tokens":3`) {
		t.Errorf("got %d %s", code, body)
	}
	for _, c := range []struct{ body, says string }{
		{`[]`, "JSON object"},
		{`{"input":"x"}`, "model"},
		{`{"model":"m","input":""}`, "input"},
		{`{"model":"m","input":[]}`, "input"},
		{`{"model":"m","input":"x","max_output_tokens":0}`, "max_output_tokens"},
	} {
		if code, body := post(c.body); code != 400 || !strings.Contains(body, c.says) {
			t.Errorf("%s: got %d %s, want 400 with %s", c.body, code, body, c.says)
		}
	}
}
