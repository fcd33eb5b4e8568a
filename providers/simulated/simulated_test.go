package simulated_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/openai"
	"github.com/penstock-dev/penstock/providers/simulated"
)

// start makes a server with faults and a provider that calls it. Answers are short,
// unless the faults say how long.
func start(t *testing.T, faults simulated.Faults) (*simulated.Server, *openai.Provider) {
	t.Helper()
	if faults.OutputTokens == (simulated.Range{}) {
		faults.OutputTokens = simulated.Range{Min: 5, Max: 20}
	}
	server, err := simulated.New(simulated.Config{Seed: 7, Faults: &faults})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	provider := server.Provider()
	t.Cleanup(func() { _ = provider.Close() })
	return server, provider
}

// prompt is a chat request that differs by what.
func prompt(what string) providers.Request {
	return providers.Request{
		Endpoint: providers.ChatCompletions,
		Model:    "sim",
		Body:     json.RawMessage(`{"messages":[{"role":"user","content":"` + what + `"}]}`),
	}
}

func failureOf(t *testing.T, err error) providers.Error {
	t.Helper()
	if err == nil {
		return providers.Error{}
	}
	failure, ok := errors.AsType[*providers.Error](err)
	if !ok {
		t.Fatalf("got %T %v, want a *providers.Error", err, err)
	}
	return *failure
}

// TestEachKindOfFault: what is ordered arrives at the other end in the words
// of the taxonomy.
func TestEachKindOfFault(t *testing.T) {
	t.Parallel()
	classes := map[string]providers.Class{
		simulated.KindConnection: providers.Connection, simulated.KindTruncated: providers.Truncated,
		simulated.KindNoDone: providers.Truncated, simulated.KindStall: providers.TimeoutStall,
		simulated.KindSlowHeaders: providers.TimeoutFirstToken, simulated.KindMalformed: providers.Malformed,
		simulated.KindEmpty: providers.Malformed, simulated.KindErrorIn200: providers.ServerError,
		simulated.KindErrorInStream: providers.ServerError, simulated.KindFiltered: providers.ContentFiltered,
	}
	for _, kind := range simulated.Kinds() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server, provider := start(t, simulated.Faults{Errors: map[string]float64{kind: 1}, RetryAfter: "3"})
				want := classes[kind]
				if want == "" {
					want = providers.Class(kind)
				}
				for i := range 10 {
					req := prompt(fmt.Sprint(i))
					req.Timeouts = providers.Timeouts{FirstToken: time.Minute, Stall: time.Minute}
					_, err := provider.Call(t.Context(), req, nil)
					got := failureOf(t, err)
					// A stall ahead of the first token is one of those.
					if got.Class != want && (kind != simulated.KindStall || got.Class != providers.TimeoutFirstToken) {
						t.Errorf("call %d: got %s (%v), want %s", i, got.Class, err, want)
					}
				}
				synctest.Wait()
				for _, call := range server.Calls() {
					if call.Outcome != kind && (kind != simulated.KindSlowHeaders || call.Outcome != "left") {
						t.Errorf("the log says %q, want %q", call.Outcome, kind)
					}
				}
			})
		})
	}
}

func TestEachKindOfFaultOnAWholeAnswer(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]providers.Class{
		simulated.KindTruncated: providers.Truncated, simulated.KindMalformed: providers.Malformed,
		simulated.KindErrorInStream: providers.ServerError, simulated.KindStall: providers.TimeoutFirstToken,
		simulated.KindEmpty: providers.Malformed, simulated.KindNoDone: providers.Truncated,
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				_, provider := start(t, simulated.Faults{Errors: map[string]float64{kind: 1}})
				req := providers.Request{
					Endpoint: providers.Embeddings, Model: "e", Body: json.RawMessage(`{"input":"x"}`),
					Timeouts: providers.Timeouts{FirstToken: time.Minute},
				}
				_, err := provider.Call(t.Context(), req, nil)
				if got := failureOf(t, err); got.Class != want {
					t.Errorf("got %s (%v), want %s", got.Class, err, want)
				}
			})
		})
	}
}

func TestSameSeedSameFate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		faults := simulated.DefaultFaults()
		faults.OutputTokens = simulated.Range{Min: 5, Max: 50}
		faults.Errors = map[string]float64{"server_error": 0.3, "truncated": 0.2}
		run := func() []string {
			_, provider := start(t, faults)
			var fates []string
			for i := range 40 {
				began := time.Now()
				got, err := provider.Call(t.Context(), prompt(fmt.Sprint(i%8)), nil)
				fates = append(fates, fmt.Sprint(i%8, err, got.Usage, time.Since(began), content(t, got.Body)))
			}
			return fates
		}
		first, second := run(), run()
		if !slices.Equal(first, second) {
			t.Errorf("two runs of one seed differ:\n%v\n%v", first, second)
		}
		slices.Sort(first)
		if distinct := slices.Compact(first); len(distinct) < 20 {
			t.Errorf("only %d of 40 calls differ: repetitions have no fate of their own", len(distinct))
		}
	})
}

// TestFateIsNobodyElses sends the same bodies in another order.
func TestFateIsNobodyElses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		run := func(order []int) map[int]string {
			_, provider := start(t, simulated.Faults{Errors: map[string]float64{"server_error": 0.5}})
			fates := map[int]string{}
			for _, i := range order {
				_, err := provider.Call(t.Context(), prompt(fmt.Sprint(i)), nil)
				fates[i] = fmt.Sprint(err)
			}
			return fates
		}
		forward := run([]int{0, 1, 2, 3, 4, 5, 6, 7})
		backward := run([]int{7, 6, 5, 4, 3, 2, 1, 0})
		if fmt.Sprint(forward) != fmt.Sprint(backward) {
			t.Errorf("got %v forward, %v backward", forward, backward)
		}
	})
}

func content(t *testing.T, body json.RawMessage) string {
	t.Helper()
	if body == nil {
		return ""
	}
	var completion struct {
		Choices []struct {
			Message struct {
				Content string `json:"content"`
			} `json:"message"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(body, &completion); err != nil || len(completion.Choices) == 0 {
		t.Fatalf("no completion: %s", body)
	}
	return completion.Choices[0].Message.Content
}

func TestAnswerHangsOnThePrompt(t *testing.T) {
	t.Parallel()
	_, provider := start(t, simulated.Faults{})
	texts := map[string]bool{}
	for range 3 {
		for i := range 5 {
			got, err := provider.Call(t.Context(), prompt(fmt.Sprint(i)), nil)
			if err != nil {
				t.Fatal(err)
			}
			texts[content(t, got.Body)] = true
		}
	}
	if len(texts) != 5 {
		t.Errorf("5 prompts, sent 3 times each, have %d different answers", len(texts))
	}
}

func TestUsageAndLength(t *testing.T) {
	t.Parallel()
	_, provider := start(t, simulated.Faults{OutputTokens: simulated.Range{Min: 50, Max: 60}})
	req := prompt("0123456789012345678901234567890123456789")
	got, err := provider.Call(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if u := got.Usage; !u.Known || u.InputTokens != 14 || u.OutputTokens < 50 || u.OutputTokens > 60 || got.FinishReason != "stop" {
		t.Errorf("got %+v, finish %q", u, got.FinishReason)
	}
	req.Body = json.RawMessage(`{"messages":[{"role":"user","content":"x"}],"max_tokens":7,"n":3}`)
	got, err = provider.Call(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Usage.OutputTokens != 21 || got.FinishReason != "length" {
		t.Errorf("max_tokens 7 and n 3: got %+v, finish %q", got.Usage, got.FinishReason)
	}
}

func TestTimePerToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, provider := start(t, simulated.Faults{
			Latency: simulated.Duration(time.Second), PerToken: simulated.Duration(10 * time.Millisecond),
			OutputTokens: simulated.Range{Min: 101, Max: 101},
		})
		began := time.Now()
		got, err := provider.Call(t.Context(), prompt("x"), nil)
		if took := time.Since(began); err != nil || took != 2*time.Second || got.TimeToFirstToken != time.Second {
			t.Errorf("got %s and %s to the first token, error %v; want 2s and 1s", took, got.TimeToFirstToken, err)
		}
	})
}

func TestCloseEndsWhatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server, provider := start(t, simulated.Faults{Errors: map[string]float64{simulated.KindSlowHeaders: 1}})
		failed := make(chan error, 1)
		go func() {
			_, err := provider.Call(t.Context(), prompt("x"), nil)
			failed <- err
		}()
		synctest.Wait()
		if err := server.Close(); err != nil {
			t.Fatal(err)
		}
		if got := failureOf(t, <-failed); got.Class != providers.Connection {
			t.Errorf("got %s, want connection", got.Class)
		}
		_, err := provider.Call(t.Context(), prompt("x"), nil)
		if got := failureOf(t, err); got.Class != providers.Connection {
			t.Errorf("after Close: got %s, want connection", got.Class)
		}
	})
}
