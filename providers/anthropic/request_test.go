package anthropic_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/providertest"
)

// seen is a request as the server got it.
type seen struct {
	method, path, body string
	header             http.Header
}

// record answers with reply and keeps the latest request.
func record(into *seen, reply http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*into = seen{r.Method, r.URL.Path, string(body), r.Header.Clone()}
		reply.ServeHTTP(w, r)
	})
}

var goodStream = providertest.Events(
	`{"type":"message_start","message":{"id":"msg_1","model":"m-1","usage":{"input_tokens":1,"output_tokens":1}}}`,
	`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"Hi"}}`,
	`{"type":"content_block_stop","index":0}`,
	`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}`,
	`{"type":"message_stop"}`,
)

// sent returns what becomes of a chat request on the wire.
func sent(t *testing.T, body string, config anthropic.Config) seen {
	t.Helper()
	var got seen
	reply := goodStream
	if config.NoStreaming {
		reply = providertest.Whole(200, `{"type":"message","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn"}`)
	}
	provider := openWith(t, record(&got, reply), config)
	req := providers.Request{Endpoint: providers.ChatCompletions, Model: "m", Body: json.RawMessage(body)}
	if _, err := provider.Call(t.Context(), req, nil); err != nil {
		failure, _ := errors.AsType[*providers.Error](err)
		t.Fatalf("got %v: %s", err, failure.Detail)
	}
	return got
}

func TestRequestsAreTranslated(t *testing.T) {
	t.Parallel()
	const hi = `"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]`
	for _, c := range []struct{ name, body, want string }{
		{
			"a prompt", `{"model":"default","messages":[{"role":"user","content":"Hi"}]}`,
			`{"model":"m","max_tokens":8192,"stream":true,` + hi + `}`,
		},
		{
			"what asks for nothing",
			`{"messages":[{"role":"user","content":"Hi","name":null}],"n":1,"logprobs":false,"top_logprobs":0,"seed":null,
			  "presence_penalty":0.0,"frequency_penalty":0,"logit_bias":{},"modalities":["text"],"verbosity":"medium","store":false,
			  "tools":[],"tool_choice":"auto","parallel_tool_calls":false,"stream":false,"stream_options":{"include_usage":true},
			  "response_format":{"type":"text"},"metadata":{},"user":"","stop":null}`,
			`{"model":"m","max_tokens":8192,"stream":true,` + hi + `}`,
		},
		{
			"sampling",
			`{"messages":[{"role":"user","content":"Hi"}],"max_completion_tokens":9,"max_tokens":9,"temperature":0.70,"top_p":1,
			  "stop":["END","\n\nUser:"],"reasoning_effort":"high","service_tier":"default","user":"u-1","safety_identifier":"u-1"}`,
			`{"model":"m","max_tokens":9,"stream":true,` + hi + `,"temperature":0.70,"top_p":1,"stop_sequences":["END","\n\nUser:"],
			  "output_config":{"effort":"high"},"service_tier":"standard_only","metadata":{"user_id":"u-1"}}`,
		},
		{
			"one stop, no thinking, any tier",
			`{"messages":[{"role":"user","content":"Hi"}],"stop":"END","reasoning_effort":"none","service_tier":"auto"}`,
			`{"model":"m","max_tokens":8192,"stream":true,` + hi + `,"stop_sequences":["END"],"thinking":{"type":"disabled"},"service_tier":"auto"}`,
		},
		{
			"system prompts, at the beginning and later",
			`{"messages":[{"role":"system","content":"A"},{"role":"developer","content":[{"type":"text","text":"B"},{"type":"text","text":"C"}]},
			  {"role":"user","content":"1"},{"role":"user","content":"2"},{"role":"system","content":"D"},{"role":"developer","content":"E"},
			  {"role":"assistant","content":"3"},{"role":"assistant","content":"4"},{"role":"user","content":"5"},{"role":"system","content":"F"}]}`,
			`{"model":"m","max_tokens":8192,"stream":true,
			  "system":[{"type":"text","text":"A"},{"type":"text","text":"B"},{"type":"text","text":"C"}],
			  "messages":[{"role":"user","content":[{"type":"text","text":"1"},{"type":"text","text":"2"}]},
			    {"role":"system","content":[{"type":"text","text":"D"},{"type":"text","text":"E"}]},
			    {"role":"assistant","content":[{"type":"text","text":"3"},{"type":"text","text":"4"}]},
			    {"role":"user","content":[{"type":"text","text":"5"}]},{"role":"system","content":[{"type":"text","text":"F"}]}]}`,
		},
		{
			"tools",
			`{"messages":[{"role":"user","content":"Hi"}],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,
			  "tools":[{"type":"function","function":{"name":"f","description":"d","strict":true,"parameters":{"type":"object","properties":{"a":{"type":"string"}}}},
			            "cache_control":{"type":"ephemeral"}},
			           {"type":"function","function":{"name":"g","parameters":{}}},{"type":"function","function":{"name":"h"}}]}`,
			`{"model":"m","max_tokens":8192,"stream":true,` + hi + `,
			  "tools":[{"name":"f","description":"d","strict":true,"input_schema":{"type":"object","properties":{"a":{"type":"string"}}},"cache_control":{"type":"ephemeral"}},
			           {"name":"g","input_schema":{"type":"object"}},{"name":"h","input_schema":{"type":"object","properties":{}}}],
			  "tool_choice":{"type":"tool","name":"f","disable_parallel_tool_use":true}}`,
		},
		{
			"one tool call at most",
			`{"messages":[{"role":"user","content":"Hi"}],"parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"h"}}]}`,
			`{"model":"m","max_tokens":8192,"stream":true,` + hi + `,"tools":[{"name":"h","input_schema":{"type":"object","properties":{}}}],
			  "tool_choice":{"type":"auto","disable_parallel_tool_use":true}}`,
		},
		{
			"some tool call", `{"messages":[{"role":"user","content":"Hi"}],"tool_choice":"required","tools":[{"type":"function","function":{"name":"h"}}]}`,
			`{"model":"m","max_tokens":8192,"stream":true,` + hi + `,"tools":[{"name":"h","input_schema":{"type":"object","properties":{}}}],
			  "tool_choice":{"type":"any"}}`,
		},
		{
			"no tool call",
			`{"messages":[{"role":"user","content":"Hi"}],"tool_choice":"none","parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"h"}}]}`,
			`{"model":"m","max_tokens":8192,"stream":true,` + hi + `,"tools":[{"name":"h","input_schema":{"type":"object","properties":{}}}],
			  "tool_choice":{"type":"none"}}`,
		},
		{
			"tool calls and their results",
			`{"messages":[{"role":"user","content":"1"},
			  {"role":"assistant","content":null,"refusal":null,"annotations":[],"tool_calls":[
			    {"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"}},{"id":"b","type":"function","function":{"name":"g","arguments":""}}]},
			  {"role":"tool","tool_call_id":"a","content":"error: no such x"},{"role":"tool","tool_call_id":"b","content":[{"type":"text","text":"r"}]},
			  {"role":"user","content":"2"},{"role":"assistant","content":"","tool_calls":[{"id":"c","type":"function","function":{"name":"f"}}]},
			  {"role":"tool","tool_call_id":"c","content":""}]}`,
			`{"model":"m","max_tokens":8192,"stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"1"}]},
			  {"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{"x":1}},{"type":"tool_use","id":"b","name":"g","input":{}}]},
			  {"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":[{"type":"text","text":"error: no such x"}]},
			    {"type":"tool_result","tool_use_id":"b","content":[{"type":"text","text":"r"}]},{"type":"text","text":"2"}]},
			  {"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]},
			  {"role":"user","content":[{"type":"tool_result","tool_use_id":"c"}]}]}`,
		},
		{
			"what the model refused",
			`{"messages":[{"role":"user","content":"1"},{"role":"assistant","content":null,"refusal":"No."},{"role":"user","content":"2"},
			  {"role":"assistant","content":[{"type":"text","text":"Well,"},{"type":"refusal","refusal":"no."}]},{"role":"user","content":"3"}]}`,
			`{"model":"m","max_tokens":8192,"stream":true,"messages":[{"role":"user","content":[{"type":"text","text":"1"}]},
			  {"role":"assistant","content":[{"type":"text","text":"No."}]},{"role":"user","content":[{"type":"text","text":"2"}]},
			  {"role":"assistant","content":[{"type":"text","text":"Well,"},{"type":"text","text":"no."}]},
			  {"role":"user","content":[{"type":"text","text":"3"}]}]}`,
		},
		{
			"images and a document",
			`{"messages":[{"role":"user","content":[{"type":"text","text":"<&>","cache_control":{"type":"ephemeral"}},
			  {"type":"image_url","image_url":{"url":"data:image/JPG;base64,AAAA","detail":"auto"}},
			  {"type":"image_url","image_url":{"url":"https://host/cat.png","detail":"high"}},
			  {"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,BBBB"}}]}]}`,
			`{"model":"m","max_tokens":8192,"stream":true,"messages":[{"role":"user","content":[
			  {"type":"text","text":"<&>","cache_control":{"type":"ephemeral"}},
			  {"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"AAAA"}},
			  {"type":"image","source":{"type":"url","url":"https://host/cat.png"}},
			  {"type":"document","title":"a.pdf","source":{"type":"base64","media_type":"application/pdf","data":"BBBB"}}]}]}`,
		},
		{
			"a schema",
			`{"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":true,
			  "schema":{"type":"object","properties":{},"additionalProperties":false}}}}`,
			`{"model":"m","max_tokens":8192,"stream":true,` + hi + `,"output_config":{"format":{"type":"json_schema",
			  "schema":{"type":"object","properties":{},"additionalProperties":false,"title":"n","description":"d"}}}}`,
		},
		{
			"a schema that says so itself",
			`{"messages":[{"role":"user","content":"Hi"}],"reasoning_effort":"low","response_format":{"type":"json_schema","json_schema":{"name":"n",
			  "description":"d","schema":{"title":"t","description":"d"}}}}`,
			`{"model":"m","max_tokens":8192,"stream":true,` + hi + `,"output_config":{"effort":"low","format":{"type":"json_schema",
			  "schema":{"title":"t","description":"d"}}}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := sent(t, c.body, anthropic.Config{}); !equalJSON(t, got.body, c.want) {
				t.Errorf("\ngot  %s\nwant %s", got.body, c.want)
			}
			if err := anthropic.Check(providers.ChatCompletions, json.RawMessage(c.body)); err != nil {
				t.Errorf("Check refuses it: %v", err)
			}
		})
	}
}

func equalJSON(t *testing.T, got, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal([]byte(got), &a); err != nil {
		t.Fatalf("got no JSON: %v: %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("want no JSON: %v", err)
	}
	return reflect.DeepEqual(a, b)
}

func TestConfigShapesRequests(t *testing.T) {
	t.Parallel()
	const body = `{"messages":[{"role":"user","content":"Hi"}]}`
	got := sent(t, body, anthropic.Config{
		MaxTokens: 100, NoStreaming: true, Version: "2024-01-01",
		Headers: map[string]anthropic.Secret{"anthropic-beta": "b-1"}, UserAgent: "agent/1",
	})
	want := `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}`
	if got.body != want {
		t.Errorf("got %s, want %s", got.body, want)
	}
	for name, want := range map[string]string{
		"X-Api-Key": providertest.Key, "Anthropic-Version": "2024-01-01", "Anthropic-Beta": "b-1", "User-Agent": "agent/1",
		"Content-Type": "application/json", "Accept": "application/json", "Authorization": "", "Idempotency-Key": "",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.header.Get(name), want)
		}
	}
	if got.method != http.MethodPost || got.path != "/v1/messages" {
		t.Errorf("got %s %s", got.method, got.path)
	}
	if plain := sent(t, body, anthropic.Config{}); plain.header.Get("Anthropic-Version") != "2023-06-01" {
		t.Errorf("got version %q", plain.header.Get("Anthropic-Version"))
	}
}
