package simulated_test

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/simulated"
)

func newServer(t *testing.T, config simulated.Config) *simulated.Server {
	t.Helper()
	server, err := simulated.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server
}

// ask sends one request straight to the handler.
func ask(server http.Handler, method, path, body string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	server.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), method, path, strings.NewReader(body)))
	return answer
}

func TestFaultsAreReadAndSet(t *testing.T) {
	t.Parallel()
	server := newServer(t, simulated.Config{})
	const want = `{"latency":"250ms","sigma":0.5,"per_token":"5ms","output_tokens":{"min":20,"max":200},"errors":null,` +
		`"retry_after":"","stall_for":"0s","slow_for":"0s","rpm":0,"concurrent":0,"outages":null}`
	if got := strings.TrimSpace(ask(server, "GET", "/faults", "").Body.String()); got != want {
		t.Errorf("at first\ngot  %s\nwant %s", got, want)
	}
	put := ask(server, "PUT", "/faults", `{"latency":0,"per_token":0,"errors":{"server_error":1},
		"outages":[{"start":"10m","duration":"1h","mode":"hang"},{"start":"2026-03-01T08:00:00Z","duration":"5m","status":502}]}`)
	if put.Code != 200 {
		t.Fatalf("PUT: %d %s", put.Code, put.Body)
	}
	got := ask(server, "GET", "/faults", "").Body.String()
	if got != put.Body.String() || !strings.Contains(got, `{"start":"10m0s","duration":"1h0m0s","mode":"hang"}`) ||
		!strings.Contains(got, `{"start":"2026-03-01T08:00:00Z","duration":"5m0s","status":502}`) {
		t.Errorf("GET after PUT: %s", got)
	}
	if again := ask(server, "PUT", "/faults", got); again.Code != 200 || again.Body.String() != got {
		t.Errorf("what GET gives, PUT takes: %d %s", again.Code, again.Body)
	}
	if code := ask(server, "POST", providers.ChatCompletions, `{"model":"m","messages":[{}]}`).Code; code != 500 {
		t.Errorf("the fault does not show: %d", code)
	}
	ask(server, "PUT", "/faults", `{"latency":0,"per_token":0}`)
	if code := ask(server, "POST", providers.ChatCompletions, `{"model":"m","messages":[{}]}`).Code; code != 200 {
		t.Errorf("the fault does not go away: %d", code)
	}
}

func TestWrongFaultsAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	server := newServer(t, simulated.Config{})
	before := ask(server, "GET", "/faults", "").Body.String()
	for body, want := range map[string]string{
		`{"latnecy":"1s"}`:                                          "latnecy",
		`{"latency":250}`:                                           "a duration is a string",
		`{"latency":"fast"}`:                                        "a duration is a string",
		`{"latency":"-1s"}`:                                         "must not be negative",
		`{"sigma":-1}`:                                              "sigma must be",
		`{"output_tokens":{"min":5,"max":1}}`:                       "output_tokens",
		`{"output_tokens":{"min":1,"max":9999999}}`:                 "output_tokens",
		`{"errors":{"eror":0.1}}`:                                   "is not a kind; there are authentication, bad_request",
		`{"errors":{"empty":1.5}}`:                                  "errors.empty must be a probability",
		`{"errors":{"empty":0.6,"stall":0.6}}`:                      "add up to",
		`{"retry_after":"1\r\nX: y"}`:                               "one line",
		`{"rpm":-1}`:                                                "rpm",
		`{"outages":[{"start":"1m"}]}`:                              "outages[0]: duration must be positive",
		`{"outages":[{"start":"soon","duration":"1m"}]}`:            "start is a duration",
		`{"outages":[{"start":"1m","duration":"1m","mode":"x"}]}`:   "mode must be",
		`{"outages":[{"start":"1m","duration":"1m","status":200}]}`: "status must be",
		`{"outages":[{"start":"1m","duration":"1m","status":500,"mode":"hang"}]}`: "has no status",
		`{"outages":[{"start":"1m","duration":"1m","retry_after":"a\nb"}]}`:       "one line",
		`{} {}`: "something follows",
		``:      "not as expected",
		`{"retry_after":"` + strings.Repeat("x", 1<<20) + `"}`: "too large",
	} {
		answer := ask(server, "PUT", "/faults", body)
		if answer.Code != 400 || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%.80s: got %d %s, want 400 with %q", body, answer.Code, answer.Body, want)
		}
	}
	if after := ask(server, "GET", "/faults", "").Body.String(); after != before {
		t.Errorf("refused faults changed something: %s", after)
	}
	if _, err := simulated.New(simulated.Config{Faults: &simulated.Faults{Sigma: math.NaN()}}); err == nil {
		t.Error("New took a sigma that is no number")
	}
	if _, err := simulated.New(simulated.Config{KeptCalls: -1}); err == nil {
		t.Error("New took a negative KeptCalls")
	}
}

func TestWrongRequests(t *testing.T) {
	t.Parallel()
	server := newServer(t, simulated.Config{Faults: &simulated.Faults{}})
	for _, c := range []struct {
		path, body string
		want       int
	}{
		{providers.ChatCompletions, `{`, 400},
		{providers.ChatCompletions, `{"messages":[{}]}`, 400},
		{providers.ChatCompletions, `{"model":"m"}`, 400},
		{providers.ChatCompletions, `{"model":"m","messages":[{}],"n":0}`, 400},
		{providers.ChatCompletions, `{"model":"m","messages":[{}],"max_tokens":0}`, 400},
		{providers.ChatCompletions, `{"model":"m","messages":[{}],"max_completion_tokens":1}`, 200},
		{providers.Embeddings, `[]`, 400},
		{providers.Embeddings, `{"model":"m"}`, 400},
		{providers.Embeddings, `{"input":"x"}`, 400},
		{providers.Embeddings, `{"model":"m","input":"x","dimensions":0}`, 400},
		{providers.Embeddings, `{"model":"m","input":"x","encoding_format":"hex"}`, 400},
		{providers.Embeddings, `{"model":"m","input":"x"}`, 200},
		{"/v1/other", `{}`, 404},
	} {
		answer := ask(server, "POST", c.path, c.body)
		if answer.Code != c.want {
			t.Errorf("%s %s: got %d %s, want %d", c.path, c.body, answer.Code, answer.Body, c.want)
		}
		var body map[string]any
		if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil || (c.want >= 400) != (body["error"] != nil) {
			t.Errorf("%s %s: got body %s", c.path, c.body, answer.Body)
		}
	}
}

func TestEmbeddings(t *testing.T) {
	t.Parallel()
	server := newServer(t, simulated.Config{Faults: &simulated.Faults{}})
	embed := func(fields string) []json.RawMessage {
		var body struct {
			Data []struct {
				Embedding json.RawMessage `json:"embedding"`
			} `json:"data"`
		}
		answer := ask(server, "POST", providers.Embeddings, `{"model":"m",`+fields+`}`)
		if err := json.Unmarshal(answer.Body.Bytes(), &body); err != nil {
			t.Fatalf("%s: %v", answer.Body, err)
		}
		var all []json.RawMessage
		for _, d := range body.Data {
			all = append(all, d.Embedding)
		}
		return all
	}
	two := embed(`"input":["a","b"],"dimensions":8`)
	if len(two) != 2 || string(two[0]) == string(two[1]) {
		t.Fatalf("got %s", two)
	}
	var vector []float32
	if err := json.Unmarshal(two[0], &vector); err != nil || len(vector) != 8 {
		t.Fatalf("got %s", two[0])
	}
	length := 0.0
	for _, x := range vector {
		length += float64(x) * float64(x)
	}
	if math.Abs(length-1) > 1e-5 {
		t.Errorf("the vector's length is %f", math.Sqrt(length))
	}
	if again := embed(`"input":"a","dimensions":8`); string(again[0]) != string(two[0]) {
		t.Error("the same text has another vector")
	}
	var encoded string
	if err := json.Unmarshal(embed(`"input":"a","dimensions":8,"encoding_format":"base64"`)[0], &encoded); err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 32 || math.Float32frombits(binary.LittleEndian.Uint32(raw)) != vector[0] {
		t.Errorf("base64 differs from the numbers: %q", encoded)
	}
	if n := len(embed(`"input":[1,2,3]`)); n != 1 {
		t.Errorf("one list of tokens has %d vectors", n)
	}
	if n := len(embed(`"input":[[1],[2,3]]`)); n != 2 {
		t.Errorf("two lists of tokens have %d vectors", n)
	}
}

func TestCallLogIsARing(t *testing.T) {
	t.Parallel()
	server := newServer(t, simulated.Config{Faults: &simulated.Faults{}, KeptCalls: 3})
	provider := server.Provider()
	t.Cleanup(func() { _ = provider.Close() })
	for i := range 5 {
		req := prompt(fmt.Sprint(i / 4))
		req.IdempotencyKey = fmt.Sprintf("e-%d", i)
		if _, err := provider.Call(t.Context(), req, nil); err != nil {
			t.Fatal(err)
		}
	}
	var calls []simulated.Call
	client := &http.Client{Transport: server.RoundTripper()}
	t.Cleanup(client.CloseIdleConnections)
	list, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://anywhere/calls", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(list)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for decoder := json.NewDecoder(answer.Body); ; {
		var call simulated.Call
		if err := decoder.Decode(&call); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, call)
	}
	if len(calls) != 3 {
		t.Fatalf("got %d calls, want 3: %+v", len(calls), calls)
	}
	for i, call := range calls {
		if call.Seq != uint64(i+3) || call.IdempotencyKey != fmt.Sprintf("e-%d", i+2) || call.Model != "sim" ||
			call.Endpoint != providers.ChatCompletions || len(call.BodySHA256) != 64 || time.Since(call.Time) > time.Hour {
			t.Errorf("call %d: got %+v", i, call)
		}
	}
	for i, call := range calls {
		if call.Outcome != "ok" || call.Ended.Before(call.Time) {
			t.Errorf("call %d: outcome %q at %s, want ok after %s", i, call.Outcome, call.Ended, call.Time)
		}
	}
	if calls[0].BodySHA256 != calls[1].BodySHA256 || calls[1].BodySHA256 == calls[2].BodySHA256 {
		t.Errorf("the hashes do not tell the bodies apart: %+v", calls)
	}
}

// TestCloseEndsCallsOfAnyServer: the handler may be behind a server that is
// not ours to close.
func TestCloseEndsCallsOfAnyServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := newServer(t, simulated.Config{Faults: &simulated.Faults{
			Errors: map[string]float64{simulated.KindSlowHeaders: 1},
		}})
		began, ended := time.Now(), make(chan any)
		go func() {
			defer func() { ended <- recover() }()
			ask(server, "POST", providers.ChatCompletions, `{"model":"m","messages":[{}]}`)
		}()
		synctest.Wait()
		_ = server.Close()
		cause, _ := (<-ended).(error)
		if !errors.Is(cause, http.ErrAbortHandler) || time.Since(began) != 0 {
			t.Errorf("the call ended with %v after %s, want an abort at once", cause, time.Since(began))
		}
	})
}
