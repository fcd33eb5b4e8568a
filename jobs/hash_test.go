package jobs_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

func ExampleRequestHash() {
	hash, err := jobs.RequestHash("acme", jobs.Request{
		Endpoint: providers.ChatCompletions, Route: "default",
		Body: []byte(`{"model":"default","messages":[{"role":"user","content":"hi"}]}`),
	})
	fmt.Println(len(hash), err)
	// Output: 64 <nil>
}

func chat(body string) jobs.Request {
	return jobs.Request{Endpoint: providers.ChatCompletions, Route: "default", Body: json.RawMessage(body)}
}

func mustHash(t *testing.T, tenant string, r jobs.Request) string {
	t.Helper()
	h, err := jobs.RequestHash(tenant, r)
	if err != nil {
		t.Fatalf("hash of %s: %v", r.Body, err)
	}
	return h
}

// Invariant 3 and 9 rest on it: equal requests of a tenant share a hash, and
// nothing else does.
func TestRequestHash(t *testing.T) {
	t.Parallel()
	base := chat(`{"model":"m","temperature":1}`)
	want := mustHash(t, "acme", base)
	for name, body := range map[string]string{
		"order and spaces": `{ "temperature": 1.0, "model": "m" }`,
		"metadata":         `{"model":"m","temperature":1,"metadata":{"a":"b"}}`,
		"user":             `{"model":"m","temperature":1,"user":"u","safety_identifier":"s"}`,
		"streaming":        `{"model":"m","temperature":1,"stream":true,"stream_options":{},"store":false}`,
	} {
		if got := mustHash(t, "acme", chat(body)); got != want {
			t.Errorf("%s: got another hash for %s", name, body)
		}
	}
	sample, route, endpoint := base, base, base
	sample.Sample, route.Route, endpoint.Endpoint = 1, "other", providers.Embeddings
	others := map[string]string{
		"tenant":   mustHash(t, "other", base),
		"sample":   mustHash(t, "acme", sample),
		"route":    mustHash(t, "acme", route),
		"endpoint": mustHash(t, "acme", endpoint),
		"body":     mustHash(t, "acme", chat(`{"model":"m","temperature":1.1}`)),
		"nested":   mustHash(t, "acme", chat(`{"model":"m","temperature":1,"x":{"user":"u"}}`)),
	}
	seen := map[string]string{want: "base"}
	for name, hash := range others {
		if twin, ok := seen[hash]; ok {
			t.Errorf("%s and %s share a hash", name, twin)
		}
		seen[hash] = name
	}
}

func TestRequestHashIsPinned(t *testing.T) {
	t.Parallel()
	// A change of this value makes every stored answer unreachable: then the
	// version in the envelope must change with it.
	const want = "8565761f44c78d7ffdcf5a8b2239419a4b95c52a19eb505ce62a88d6ce12334e"
	if got := mustHash(t, "default", chat(`{"model":"default","messages":[]}`)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRequestHashRefuses(t *testing.T) {
	t.Parallel()
	for body, pointer := range map[string]string{
		`[]`:                              "/request",
		`null`:                            "/request",
		`{"a":1,"a":2}`:                   "/request/a",
		`{"m":{"seed":9007199254740993}}`: "/request/m/seed",
	} {
		_, err := jobs.RequestHash("acme", chat(body))
		e, ok := errors.AsType[*jobs.Error](err)
		if !ok || e.Code != jobs.CodeInvalidField || e.Pointer != pointer {
			t.Errorf("%s: got %v, want invalid_field at %s", body, err, pointer)
		}
		if ok && strings.Contains(e.Error(), "9007199254740993") {
			t.Errorf("%s: the error quotes the request: %v", body, e)
		}
	}
}

func TestUSD(t *testing.T) {
	t.Parallel()
	for amount, want := range map[jobs.USD]string{
		0: "0", jobs.Dollar: "1", 2_500_000: "0.0025", 1: "0.000000001", -1_500_000_000: "-1.5", 100 * jobs.Dollar: "100",
	} {
		got, err := json.Marshal(amount)
		if err != nil || string(got) != want {
			t.Errorf("%d: got %s (%v), want %s", int64(amount), got, err, want)
		}
		var back jobs.USD
		if err := json.Unmarshal(got, &back); err != nil || back != amount {
			t.Errorf("%s: read back as %d (%v)", got, int64(back), err)
		}
	}
}
