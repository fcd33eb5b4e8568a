package anthropic_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/providertest"
)

const (
	startOf   = `{"type":"message_start","message":{"id":"msg_1","model":"m-1","usage":{"input_tokens":5,"output_tokens":1}}}`
	textOf    = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	letMeOf   = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Let me"}}`
	stopOf    = `{"type":"content_block_stop","index":0}`
	endOf     = `{"type":"message_stop"}`
	toolsOf   = `{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"input_tokens":6,"output_tokens":20}}`
	wantUsage = `"usage":{"prompt_tokens":6,"completion_tokens":20,"total_tokens":26,"prompt_tokens_details":{"cached_tokens":0},
	  "completion_tokens_details":{"reasoning_tokens":0}}`
)

// call asks and returns the body, without what differs from run to run.
func call(t *testing.T, reply providertest.Reply) (body string, chunks []string) {
	t.Helper()
	provider := open(t, reply)
	got, err := provider.Call(t.Context(), chatRequest, func(c providers.Chunk) {
		if c.Data != nil {
			chunks = append(chunks, string(c.Data))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(got.Body, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "created")
	cut, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(cut), chunks
}

var chatRequest = providers.Request{
	Endpoint: providers.ChatCompletions, Model: "m", Body: json.RawMessage(`{"messages":[{"role":"user","content":"x"}]}`),
}

const toolAnswer = `{"id":"msg_1","object":"chat.completion","model":"m-1","choices":[{"index":0,"logprobs":null,"finish_reason":"tool_calls",
  "message":{"role":"assistant","content":"Let me","refusal":null,"tool_calls":[
    {"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{\"city\": \"Köln\"}"}},
    {"id":"toolu_2","type":"function","function":{"name":"g","arguments":"{}"}},
    {"id":"toolu_3","type":"function","function":{"name":"h","arguments":"{\"at\":\"once\"}"}}]}}],` + wantUsage + `}`

// TestToolCalls: arguments in pieces, none at all, and all at once.
func TestToolCalls(t *testing.T) {
	t.Parallel()
	got, chunks := call(t, providertest.Events(startOf, textOf, letMeOf, stopOf,
		`{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"city\": \"K"}}`,
		`{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"öln\"}"}}`,
		`{"type":"content_block_stop","index":1}`,
		`{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_2","name":"g","input":{}}}`,
		`{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":""}}`,
		`{"type":"content_block_stop","index":2}`,
		`{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_3","name":"h","input":{"at":"once"}}}`,
		`{"type":"content_block_stop","index":3}`, toolsOf, endOf))
	if !equalJSON(t, got, toolAnswer) {
		t.Errorf("\ngot  %s\nwant %s", got, toolAnswer)
	}
	if len(chunks) != 11 {
		t.Errorf("told of %d chunks:\n%s", len(chunks), strings.Join(chunks, "\n"))
	}
}

func TestWholeToolCalls(t *testing.T) {
	t.Parallel()
	got, chunks := call(t, providertest.Whole(200, `{"id":"msg_1","type":"message","role":"assistant","model":"m-1","content":[
	  {"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"Let"},{"type":"text","text":" me"},
	  {"type":"tool_use","id":"toolu_1","name":"f","input":{"city": "Köln"}},{"type":"tool_use","id":"toolu_2","name":"g","input":{}},
	  {"type":"tool_use","id":"toolu_3","name":"h","input":{"at":"once"}}],"stop_reason":"tool_use","usage":{"input_tokens":6,"output_tokens":20}}`))
	if !equalJSON(t, got, toolAnswer) || len(chunks) != 0 {
		t.Errorf("%d chunks\ngot  %s\nwant %s", len(chunks), got, toolAnswer)
	}
}

func TestFinishReasons(t *testing.T) {
	t.Parallel()
	for stop, want := range map[string]string{
		"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "model_context_window_exceeded": "length",
	} {
		got, err := open(t, providertest.Events(startOf, textOf, letMeOf, stopOf,
			`{"type":"message_delta","delta":{"stop_reason":"`+stop+`"}}`, endOf)).Call(t.Context(), chatRequest, nil)
		if err != nil || got.FinishReason != want || !strings.Contains(string(got.Body), `"finish_reason":"`+want+`"`) {
			t.Errorf("%s: got %q, error %v, want %q", stop, got.FinishReason, err, want)
		}
	}
}

// TestArgumentsMayBeCutByTheLimit: a tool call that ran into max_tokens is
// handed over as far as it came, as chat completions do.
func TestArgumentsMayBeCutByTheLimit(t *testing.T) {
	t.Parallel()
	got, _ := call(t, providertest.Events(startOf,
		`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}`, stopOf,
		`{"type":"message_delta","delta":{"stop_reason":"max_tokens"}}`, endOf))
	if !strings.Contains(got, `"arguments":"{\"a\":"`) || !strings.Contains(got, `"content":null`) {
		t.Errorf("got %s", got)
	}
}

func TestNothingToSay(t *testing.T) {
	t.Parallel()
	got, chunks := call(t, providertest.Events(startOf, `{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`, endOf))
	if !strings.Contains(got, `"content":""`) || len(chunks) != 4 {
		t.Errorf("got %s in %d chunks", got, len(chunks))
	}
}

// TestRefusalsSayWhy: what the provider says about it is for the tenant.
func TestRefusalsSayWhy(t *testing.T) {
	t.Parallel()
	_, err := open(t, providertest.Events(startOf,
		`{"type":"message_delta","delta":{"stop_reason":"refusal","stop_details":{"category":"bio","explanation":"because"}}}`, endOf,
	)).Call(t.Context(), chatRequest, nil)
	if failure := failureOf(t, err); failure.Class != providers.ContentFiltered || failure.Detail != "because" {
		t.Errorf("got %v with detail %q", failure, failure.Detail)
	}
}

// TestUsageIsCumulative: what a later event repeats as zero or null is not
// forgotten.
func TestUsageIsCumulative(t *testing.T) {
	t.Parallel()
	got, err := open(t, providertest.Events(
		`{"type":"message_start","message":{"id":"m","usage":{"input_tokens":50,"cache_read_input_tokens":7,"output_tokens":1}}}`,
		`{"type":"message_delta","delta":{},"usage":{"input_tokens":0,"cache_read_input_tokens":null,"output_tokens":8}}`,
		`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}`, endOf,
	)).Call(t.Context(), chatRequest, nil)
	want := providers.Usage{Known: true, InputTokens: 57, OutputTokens: 9, CachedTokens: 7}
	if err != nil || got.Usage != want {
		t.Errorf("got %+v, error %v, want %+v", got.Usage, err, want)
	}
}

// TestPingsDoNotHideAStall: neither before the first token nor after it.
func TestPingsDoNotHideAStall(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events []string
		want   providers.Class
		after  time.Duration
	}{
		"before": {[]string{startOf, textOf}, providers.TimeoutFirstToken, 4500 * time.Millisecond},
		"after":  {[]string{startOf, textOf, letMeOf}, providers.TimeoutStall, 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				reply := providertest.Events(c.events...)
				for range 9 {
					reply.Pieces = append(reply.Pieces, providertest.Piece{After: time.Second, Text: "event: ping\ndata: {\"type\":\"ping\"}\n\n"})
				}
				req := chatRequest
				req.Timeouts = providers.Timeouts{FirstToken: 4500 * time.Millisecond, Stall: 3 * time.Second}
				began := time.Now()
				_, err := open(t, reply).Call(t.Context(), req, nil)
				if failure := failureOf(t, err); failure.Class != c.want || time.Since(began) != c.after {
					t.Errorf("got %s after %s, want %s after %s", failure.Class, time.Since(began), c.want, c.after)
				}
			})
		})
	}
}

// TestThinkingKeepsTheClocks: a model that thinks aloud has begun.
func TestThinkingKeepsTheClocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reply := providertest.Events(startOf,
			`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":""}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"a"}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"b"}}`, stopOf,
			strings.Replace(textOf, "0", "1", 1), strings.Replace(letMeOf, "0", "1", 1), strings.Replace(stopOf, "0", "1", 1),
			`{"type":"message_delta","delta":{"stop_reason":"end_turn"}}`, endOf)
		for i := range reply.Pieces {
			reply.Pieces[i].After = 2 * time.Second
		}
		req := chatRequest
		req.Timeouts = providers.Timeouts{FirstToken: 7 * time.Second, Stall: 3 * time.Second}
		got, err := open(t, reply).Call(t.Context(), req, nil)
		if err != nil || got.TimeToFirstToken != 6*time.Second {
			t.Errorf("got %s to the first token, error %v", got.TimeToFirstToken, err)
		}
	})
}
