package app

import (
	"errors"
	"io"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// A provider of type gemini asks a server of that format, whole and streamed,
// and obeys the hints that it has in bodies alone.
func TestGemini(t *testing.T) {
	t.Parallel()
	sim, err := simulated.New(simulated.Config{Faults: &simulated.Faults{}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(func() { server.Close(); _ = sim.Close() })
	for _, whole := range []string{"false", "true"} {
		p, _, err := buildOne(t, `
providers:
  p: {type: gemini, base_url: "${SERVER}/v1beta", api_key: key-one, no_streaming: `+whole+`}
`, io.Discard, "SERVER", server.URL)
		if err != nil {
			t.Fatal(err)
		}
		set := func(kind string) {
			if err := sim.SetFaults(simulated.Faults{Errors: map[string]float64{kind: 1}, RetryAfter: "45.8"}); err != nil {
				t.Fatal(err)
			}
		}
		if err := sim.SetFaults(simulated.Faults{}); err != nil {
			t.Fatal(err)
		}
		got, err := p.Call(t.Context(), request(), nil)
		if err != nil || got.Model != "m" || got.FinishReason != "stop" || got.Usage.OutputTokens == 0 {
			t.Errorf("got %+v, %v", got, err)
		}
		set(string(providers.RateLimited))
		_, err = p.Call(t.Context(), request(), nil)
		failure, ok := errors.AsType[*providers.Error](err)
		if !ok || failure.Class != providers.RateLimited || failure.RetryAfter != 45800*time.Millisecond {
			t.Errorf("got %+v, want rate_limited with a hint of 45.8s", failure)
		}
		set(string(providers.QuotaExhausted))
		if _, err = p.Call(t.Context(), request(), nil); providers.ClassOf(err) != providers.QuotaExhausted {
			t.Errorf("got %v, want quota_exhausted", err)
		}
	}
}
