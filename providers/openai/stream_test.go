package openai_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/openai"
	"github.com/penstock-dev/penstock/providers/providertest"
)

var chatRequest = providers.Request{
	Endpoint: providers.ChatCompletions, Model: "m", Body: json.RawMessage(`{"messages":[]}`),
}

func TestStreamIsPutTogether(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		chunks []string
		want   string // of the body, without object
	}{
		{
			"tool calls by index",
			[]string{
				`{"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}}]}`,
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\""}}]}}]}`,
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}}]}`,
				`{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]}`,
				`{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}`,
			},
			`{"choices":[{"index":0,"finish_reason":"tool_calls","logprobs":null,"message":{"role":"assistant","content":null,"refusal":null,
			  "tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
			                {"id":"b","type":"function","function":{"name":"g","arguments":"{}"}}]}}]}`,
		},
		{
			"tool calls that repeat id, type and name",
			[]string{
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"}"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"","type":"","function":{"name":"","arguments":""}}]},"finish_reason":"tool_calls"}]}`,
			},
			`{"choices":[{"index":0,"finish_reason":"tool_calls","logprobs":null,"message":{"role":"assistant","content":null,"refusal":null,
			  "tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}}]}`,
		},
		{
			"tool calls without index",
			[]string{
				`{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"1"}},{"id":"b","function":{"name":"g","arguments":"2"}}]}}]}`,
				`{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"3"}}]},"finish_reason":"tool_calls"}]}`,
			},
			`{"choices":[{"index":0,"finish_reason":"tool_calls","logprobs":null,"message":{"role":"assistant","content":null,"refusal":null,
			  "tool_calls":[{"id":"a","function":{"name":"f","arguments":"1"}},{"id":"b","function":{"name":"g","arguments":"23"}}]}}]}`,
		},
		{
			"several choices, the last first",
			[]string{
				`{"choices":[{"index":1,"delta":{"content":"B"}},{"index":0,"delta":{"content":"A"}}]}`,
				`{"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}`,
				`{"choices":[{"index":1,"delta":{"content":"b"},"finish_reason":"length"}]}`,
			},
			`{"choices":[
			  {"index":0,"finish_reason":"stop","logprobs":null,"message":{"role":"assistant","content":"Aa","refusal":null}},
			  {"index":1,"finish_reason":"length","logprobs":null,"message":{"role":"assistant","content":"Bb","refusal":null}}]}`,
		},
		{
			"logprobs, reasoning and refusal grow",
			[]string{
				`{"choices":[{"delta":{"reasoning_content":"th","reasoning":"x"},"logprobs":{"content":[{"token":"a","logprob":-0.10}],"refusal":null}}]}`,
				`{"choices":[{"delta":{"reasoning_content":"ink","refusal":"no"},"logprobs":{"content":[{"token":"b","logprob":-1}],"refusal":null}}]}`,
				`{"choices":[{"delta":{"refusal":"pe"},"logprobs":null,"finish_reason":"stop"}]}`,
			},
			`{"choices":[{"index":0,"finish_reason":"stop",
			  "logprobs":{"content":[{"token":"a","logprob":-0.10},{"token":"b","logprob":-1}],"refusal":null},
			  "message":{"role":"assistant","content":null,"refusal":"nope","reasoning_content":"think","reasoning":"x"}}]}`,
		},
		{
			"unknown fields everywhere",
			[]string{
				`{"id":"","model":"","prompt_filter_results":[{"a":1}],"choices":[]}`,
				`{"id":"c","model":"m1","created":5,"system_fingerprint":"fp","service_tier":"default","provider":"p","citations":["u"],
				  "choices":[{"delta":{"content":"x","annotations":[{"t":1}],"new":{"s":"a","n":1}},"token_ids":[1,2],"safety":{"hate":"safe"}}]}`,
				`{"id":"c","model":"m1","created":5,"system_fingerprint":null,
				  "choices":[{"delta":{"annotations":[{"t":2}],"new":{"s":"b","n":2}},"token_ids":[3],"safety":{"hate":"safe"},"stop_reason":null,"finish_reason":"stop"}]}`,
			},
			`{"id":"c","model":"m1","created":5,"system_fingerprint":"fp","service_tier":"default","provider":"p","citations":["u"],
			  "prompt_filter_results":[{"a":1}],
			  "choices":[{"index":0,"finish_reason":"stop","logprobs":null,"token_ids":[1,2,3],"safety":{"hate":"safe"},"stop_reason":null,
			  "message":{"role":"assistant","content":"x","refusal":null,"annotations":[{"t":1},{"t":2}],"new":{"s":"ab","n":2}}}]}`,
		},
		{
			"escapes split between chunks",
			[]string{
				`{"choices":[{"delta":{"content":"\ud83d"}}]}`,
				`{"choices":[{"delta":{"content":"\ude00 \"q\" \n"},"finish_reason":"stop"}]}`,
			},
			`{"choices":[{"index":0,"finish_reason":"stop","logprobs":null,"message":{"role":"assistant","content":"😀 \"q\" \n","refusal":null}}]}`,
		},
		{
			"one of two choices filtered",
			[]string{
				`{"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"},{"index":1,"delta":{"content":"x"},"finish_reason":"stop"}]}`,
			},
			`{"choices":[
			  {"index":0,"finish_reason":"content_filter","logprobs":null,"message":{"role":"assistant","content":null,"refusal":null}},
			  {"index":1,"finish_reason":"stop","logprobs":null,"message":{"role":"assistant","content":"x","refusal":null}}]}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for i, chunk := range c.chunks {
				c.chunks[i] = strings.ReplaceAll(chunk, "\n", "")
			}
			provider := open(t, providertest.Stream(append(c.chunks, "[DONE]")...))
			got, err := provider.Call(t.Context(), chatRequest, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(c.want, "{", `{"object":"chat.completion",`, 1)
			if !equalJSON(t, got.Body, want) {
				t.Errorf("\ngot  %s\nwant %s", got.Body, want)
			}
		})
	}
}

func equalJSON(t *testing.T, got json.RawMessage, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Fatalf("got no JSON: %v: %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("want no JSON: %v", err)
	}
	return reflect.DeepEqual(a, b)
}

func TestCharacterSplitIntoBytes(t *testing.T) {
	t.Parallel()
	provider := open(t, providertest.Stream(
		"{\"choices\":[{\"delta\":{\"content\":\"\xc3\"}}]}",
		"{\"choices\":[{\"delta\":{\"content\":\"\xa9 \xff\"},\"finish_reason\":\"stop\"}]}", "[DONE]"))
	got, err := provider.Call(t.Context(), chatRequest, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(got.Body), "\"é \uFFFD\"") {
		t.Errorf("got %s", got.Body)
	}
}

func TestUsageOfOthers(t *testing.T) {
	t.Parallel()
	const finish = `"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]`
	for name, c := range map[string]struct {
		fields string
		want   providers.Usage
	}{
		"Groq":     {`"x_groq":{"usage":{"prompt_tokens":1,"completion_tokens":2}}`, providers.Usage{Known: true, InputTokens: 1, OutputTokens: 2}},
		"DeepSeek": {`"usage":{"prompt_tokens":5,"completion_tokens":2,"prompt_cache_hit_tokens":4}`, providers.Usage{Known: true, InputTokens: 5, OutputTokens: 2, CachedTokens: 4}},
		"null":     {`"usage":null`, providers.Usage{}},
		"negative": {`"usage":{"prompt_tokens":-1,"completion_tokens":2}`, providers.Usage{}},
		"words":    {`"usage":{"prompt_tokens":1,"completion_tokens":"two"}`, providers.Usage{}},
		"no input": {`"usage":{"completion_tokens":2}`, providers.Usage{}},
		"a number": {`"usage":3`, providers.Usage{}},
		"odd details": {
			`"usage":{"prompt_tokens":1,"completion_tokens":2,"prompt_tokens_details":7}`,
			providers.Usage{Known: true, InputTokens: 1, OutputTokens: 2},
		},
	} {
		provider := open(t, providertest.Stream(`{`+finish+`,`+c.fields+`}`, "[DONE]"))
		got, err := provider.Call(t.Context(), chatRequest, nil)
		if err != nil || got.Usage != c.want {
			t.Errorf("%s: got %+v, error %v, want %+v", name, got.Usage, err, c.want)
		}
	}
}

func TestNoDoneEvent(t *testing.T) {
	t.Parallel()
	const whole, part = `{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}`, `{"choices":[{"delta":{"content":"x"}}]}`
	cut := providertest.Stream(whole)
	cut.End = providertest.Cut
	for _, c := range []struct {
		name  string
		reply providertest.Reply
		allow bool
		want  providers.Class
	}{
		{"not allowed", providertest.Stream(whole), false, providers.Truncated},
		{"allowed", providertest.Stream(whole), true, ""},
		{"allowed without finish reason", providertest.Stream(part), true, providers.Truncated},
		{"allowed but cut", cut, true, providers.Truncated},
	} {
		provider := openWith(t, c.reply, openai.Config{NoDoneEvent: c.allow})
		_, err := provider.Call(t.Context(), chatRequest, nil)
		if got := classOf(err); got != c.want {
			t.Errorf("%s: got %q (%v), want %q", c.name, got, err, c.want)
		}
	}
}

// classOf is "" without an error.
func classOf(err error) providers.Class {
	if err == nil {
		return ""
	}
	return providers.ClassOf(err)
}

func TestContentTypeDecides(t *testing.T) {
	t.Parallel()
	const whole = `{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}]}`
	stream := "data: " + `{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
	for _, c := range []struct {
		contentType, body string
		want              providers.Class
	}{
		{"application/json", whole, ""},
		{"application/json; charset=utf-8", "\n\n" + whole, ""},
		{"text/event-stream; charset=utf-8", "\xEF\xBB\xBF" + stream, ""},
		{"text/event-stream", whole, ""},
		{"text/plain", stream, ""},
		{"text/plain", whole, ""},
		{"application/json", stream, providers.Malformed},
		{"text/html", "<html>", providers.Malformed},
		{"", "<html>", providers.Malformed},
	} {
		reply := providertest.Whole(200, c.body)
		reply.Header["Content-Type"] = c.contentType
		provider := open(t, reply)
		got, err := provider.Call(t.Context(), chatRequest, nil)
		if class := classOf(err); class != c.want {
			t.Errorf("%s %q: got %q (%v), want %q, body %s", c.contentType, c.body, class, err, c.want, got.Body)
		}
	}
}
