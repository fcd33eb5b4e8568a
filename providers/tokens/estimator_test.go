package tokens_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tiktoken-go/tokenizer/codec"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/tokens"
)

// request is one of the real prompts.
type request struct {
	body   []byte
	prompt string
}

// prompts returns the first turns of MT-Bench; see NOTICE.
func prompts(tb testing.TB) (all []request) {
	tb.Helper()
	file, err := os.Open("../../examples/prompts.jsonl")
	if err != nil {
		tb.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct {
			Body json.RawMessage `json:"body"`
		}
		var body struct {
			Messages []struct {
				Content string `json:"content"`
			} `json:"messages"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			tb.Fatal(err)
		}
		if err := json.Unmarshal(line.Body, &body); err != nil {
			tb.Fatal(err)
		}
		all = append(all, request{line.Body, body.Messages[0].Content})
	}
	if len(all) != 80 {
		tb.Fatalf("got %d prompts, want 80", len(all))
	}
	return all
}

func chat(text, rest string) []byte {
	return fmt.Appendf(nil, `{"messages":[{"role":"user","content":%q}]%s}`, text, rest)
}

// frame is what a chat with one message costs beside its text.
const frame = 7

func TestExactForOpenAI(t *testing.T) {
	t.Parallel()
	e, reference := tokens.New(), codec.NewO200kBase()
	for _, r := range prompts(t) {
		want, err := reference.Count(r.prompt)
		if err != nil {
			t.Fatal(err)
		}
		if got := e.Estimate("openai/gpt-5", providers.ChatCompletions, r.body).Input; got != int64(want)+frame {
			t.Errorf("got %d, want %d: %s", got, want+frame, r.prompt)
		}
	}
}

// A model with another vocabulary is learned from what it reports. Printed is
// the error that is left.
func TestLearnsAnotherVocabulary(t *testing.T) {
	t.Parallel()
	// The vocabulary of GPT-3 is a quarter of the size.
	e, other := tokens.New(), codec.NewR50kBase()
	const model, system = "other/model", 12
	errorOver := func(learn bool) (each, sum float64) {
		var estimated, actual, off float64
		for _, r := range prompts(t) {
			n, err := other.Count(r.prompt)
			if err != nil {
				t.Fatal(err)
			}
			estimate := e.Estimate(model, providers.ChatCompletions, r.body)
			usage := providers.Usage{Known: true, InputTokens: int64(n) + system, OutputTokens: 10}
			if learn {
				e.Learn(model, estimate, usage)
			}
			diff := float64(estimate.Input - usage.InputTokens)
			estimated, actual, off = estimated+float64(estimate.Input), actual+float64(usage.InputTokens), off+max(diff, -diff)
		}
		return off / actual, estimated/actual - 1
	}
	each, sum := errorOver(false)
	t.Logf("before: %.1f%% of each request, %+.1f%% of the sum", 100*each, 100*sum)
	errorOver(true)
	learnedEach, learnedSum := errorOver(false)
	t.Logf("after 80 answers: %.1f%% of each request, %+.1f%% of the sum", 100*learnedEach, 100*learnedSum)
	if learnedEach > each || max(learnedSum, -learnedSum) > 0.02 {
		t.Errorf("got an error of %.3f in the sum, want at most 0.02; of each %.3f, was %.3f", learnedSum, learnedEach, each)
	}
}

func TestRoughOnRealPrompts(t *testing.T) {
	t.Parallel()
	e := tokens.New()
	var off, all float64
	for _, r := range prompts(t) {
		rough, limit := tokens.Rough(providers.ChatCompletions, r.body)
		exact := e.Estimate("m", providers.ChatCompletions, r.body).Input
		off, all = off+float64(max(rough-exact, exact-rough)), all+float64(exact)
		if limit != 512 {
			t.Errorf("limit %d, want 512", limit)
		}
	}
	t.Logf("%.1f%% of each request", 100*off/all)
	if off/all > 0.05 {
		t.Errorf("an error of %.3f, want at most 0.05", off/all)
	}
}

func TestOutput(t *testing.T) {
	t.Parallel()
	e := tokens.New()
	const model = "openai/gpt-5"
	if got := e.Estimate(model, providers.Embeddings, []byte(`{"input":"x"}`)).Output; got != 0 {
		t.Errorf("embeddings: got %d, want 0", got)
	}
	short, long := chat("hello", ""), chat(strings.Repeat("word ", 3000), "")
	for range 100 {
		for body, output := range map[string]int64{string(short): 40, string(long): 800} {
			estimate := e.Estimate(model, providers.ChatCompletions, []byte(body))
			e.Learn(model, estimate, providers.Usage{Known: true, InputTokens: estimate.Input, OutputTokens: output})
		}
	}
	for _, c := range []struct {
		name     string
		body     []byte
		min, max int64
		limit    int64
	}{
		{"as answers to short requests were", short, 40, 70, 0},
		{"as answers to long requests were", long, 750, 800, 0},
		{"no more than is allowed", chat("hello", `,"max_tokens":16`), 16, 16, 16},
		{"each of several", chat("hello", `,"max_tokens":16,"n":4`), 64, 64, 64},
		{"less than is allowed", chat("hello", `,"max_tokens":9000`), 40, 70, 9000},
	} {
		got := e.Estimate(model, providers.ChatCompletions, c.body)
		if got.Output < c.min || got.Output > c.max || got.Limit != c.limit {
			t.Errorf("%s: got %+v, want %d to %d, limit %d", c.name, got, c.min, c.max, c.limit)
		}
	}
}

// What was learned about one model says nothing about another, and usage that
// was not reported says nothing at all.
func TestModelsAreApart(t *testing.T) {
	t.Parallel()
	e, body := tokens.New(), chat("some words for a model", "")
	before := e.Estimate("one", providers.ChatCompletions, body)
	for range 50 {
		e.Learn("other", before, providers.Usage{Known: true, InputTokens: 5 * before.Input, OutputTokens: 9})
		e.Learn("one", before, providers.Usage{InputTokens: 5 * before.Input, OutputTokens: 9})
	}
	if after := e.Estimate("one", providers.ChatCompletions, body); after != before {
		t.Errorf("got %+v, want %+v", after, before)
	}
	if other := e.Estimate("other", providers.ChatCompletions, body); other.Input < 2*before.Input {
		t.Errorf("got %+v after five times as much", other)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	e, body := tokens.New(), chat("hello there", "")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 500 {
				model := fmt.Sprint("m", i*j)
				e.Learn(model, e.Estimate(model, providers.ChatCompletions, body),
					providers.Usage{Known: true, InputTokens: 20, OutputTokens: 20})
			}
		})
	}
	all.Wait()
}

func Example() {
	e := tokens.New()
	body := []byte(`{"messages": [{"role": "user", "content": "How many tokens are these?"}], "max_tokens": 40}`)
	estimate := e.Estimate("openai/gpt-5", providers.ChatCompletions, body)
	fmt.Println(estimate.Input, estimate.Output)
	e.Learn("openai/gpt-5", estimate, providers.Usage{Known: true, InputTokens: 13, OutputTokens: 25})
	// Output: 13 40
}
