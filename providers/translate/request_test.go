package translate_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/translate"
)

// inner is a provider that answers as told and keeps what it was asked.
type inner struct {
	asked  providers.Request
	answer providers.Response
	err    error
}

func (p *inner) Call(_ context.Context, req providers.Request, _ func(providers.Chunk)) (providers.Response, error) {
	p.asked = req
	return p.answer, p.err
}

// saying answers with a message.
func saying(message, finish string) *inner {
	return &inner{answer: providers.Response{
		Body:  json.RawMessage(`{"id":"1","object":"chat.completion","created":7,"model":"m-1","choices":[{"message":` + message + `}]}`),
		Model: "m-1", FinishReason: finish, HTTPStatus: 200, RequestID: "req_1",
		Usage: providers.Usage{Known: true, InputTokens: 9, OutputTokens: 5, CachedTokens: 4, ReasoningTokens: 3},
	}}
}

func same(t *testing.T, got json.RawMessage, want string) bool {
	t.Helper()
	var a, b any
	if err := json.Unmarshal(got, &a); err != nil {
		t.Errorf("not JSON: %v: %s", err, got)
	}
	if err := json.Unmarshal([]byte(want), &b); err != nil {
		t.Fatalf("the wanted is not JSON: %v: %s", err, want)
	}
	return reflect.DeepEqual(a, b)
}

// TestWhatIsAsked: each part of a request in the words of chat completions.
func TestWhatIsAsked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, endpoint, body, want string }{
		{
			"a text", providers.Responses, `{"model":"default","input":"Hi <&>","stream":true,"store":false,"metadata":{"a":"b"}}`,
			`{"model":"default","messages":[{"role":"user","content":"Hi <&>"}]}`,
		},
		{
			"options", providers.Responses,
			`{"input":"x","instructions":"Be brief.","max_output_tokens":7,"temperature":0.50,"top_p":1,"user":"u","safety_identifier":"s",
			  "prompt_cache_key":"k","service_tier":"flex","reasoning":{"effort":"low","summary":null},"truncation":"disabled",
			  "top_logprobs":0,"include":[],"background":false,"text":{"verbosity":"low","format":{"type":"text"}}}`,
			`{"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"x"}],"max_tokens":7,"temperature":0.5,"top_p":1,
			  "user":"u","safety_identifier":"s","prompt_cache_key":"k","service_tier":"flex","reasoning_effort":"low","verbosity":"low"}`,
		},
		{
			"a schema", providers.Responses,
			`{"input":"x","text":{"format":{"type":"json_schema","name":"n","description":"d","schema":{"type":"object"},"strict":true}}}`,
			`{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema",
			  "json_schema":{"name":"n","description":"d","schema":{"type":"object"},"strict":true}}}`,
		},
		{
			"JSON without a schema", providers.Responses, `{"input":"x","text":{"format":{"type":"json_object"}}}`,
			`{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"}}`,
		},
		{
			"images and files", providers.Responses,
			`{"input":[{"role":"user","content":[{"type":"input_text","text":"a"},{"type":"input_image","image_url":"https://i/1","detail":"low"},
			  {"type":"input_file","filename":"f.pdf","file_data":"data:application/pdf;base64,AA=="}]}]}`,
			`{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://i/1","detail":"low"}},
			  {"type":"file","file":{"filename":"f.pdf","file_data":"data:application/pdf;base64,AA=="}}]}]}`,
		},
		{
			"tools and their use", providers.Responses,
			`{"tools":[{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":false}],
			  "tool_choice":{"type":"function","name":"f"},"parallel_tool_calls":false,"input":[
			  {"type":"message","role":"developer","content":"y"},{"role":"user","content":"x"},
			  {"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"let me","annotations":[],"logprobs":[]}]},
			  {"type":"function_call","id":"fc_1","status":"completed","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
			  {"type":"function_call","call_id":"c2","name":"f","arguments":""},
			  {"type":"function_call_output","call_id":"c1","output":"one"},
			  {"type":"function_call_output","call_id":"c2","output":[{"type":"input_text","text":"two"}]},
			  {"type":"function_call","call_id":"c3","name":"f","arguments":"{}"}]}`,
			`{"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":false}}],
			  "tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false,"messages":[
			  {"role":"developer","content":"y"},{"role":"user","content":"x"},
			  {"role":"assistant","content":"let me","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
			  {"id":"c2","type":"function","function":{"name":"f","arguments":""}}]},
			  {"role":"tool","tool_call_id":"c1","content":"one"},{"role":"tool","tool_call_id":"c2","content":"two"},
			  {"role":"assistant","tool_calls":[{"id":"c3","type":"function","function":{"name":"f","arguments":"{}"}}]}]}`,
		},
		{
			"a refusal of before", providers.Responses,
			`{"input":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"user","content":"y"}],
			  "tool_choice":"auto","parallel_tool_calls":true}`,
			`{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"refusal","refusal":"no"}]},{"role":"user","content":"y"}]}`,
		},
		{
			"a text", providers.Messages, `{"model":"default","max_tokens":5,"stream":true,"messages":[{"role":"user","content":"Hi"}]}`,
			`{"model":"default","max_tokens":5,"messages":[{"role":"user","content":"Hi"}]}`,
		},
		{
			"options", providers.Messages,
			`{"max_tokens":5,"system":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"temperature":0.5,"top_p":1,"stop_sequences":["s"],
			  "metadata":{"user_id":"u"},"service_tier":"standard_only","thinking":{"type":"disabled"},
			  "output_config":{"format":{"type":"json_schema","schema":{"title":"n","type":"object"}}},"messages":[{"role":"user","content":"x"}]}`,
			`{"max_tokens":5,"messages":[{"role":"system","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},{"role":"user","content":"x"}],
			  "temperature":0.5,"top_p":1,"stop":["s"],"user":"u","service_tier":"default","reasoning_effort":"none",
			  "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"title":"n","type":"object"},"strict":true}}}`,
		},
		{
			"images and documents", providers.Messages,
			`{"max_tokens":5,"output_config":{"effort":"high"},"messages":[{"role":"user","content":[
			  {"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}},{"type":"image","source":{"type":"url","url":"https://i/1"}},
			  {"type":"document","title":"t","source":{"type":"base64","media_type":"application/pdf","data":"BB=="}}]}]}`,
			`{"max_tokens":5,"reasoning_effort":"high","messages":[{"role":"user","content":[
			  {"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},{"type":"image_url","image_url":{"url":"https://i/1"}},
			  {"type":"file","file":{"filename":"t","file_data":"data:application/pdf;base64,BB=="}}]}]}`,
		},
		{
			"tools and their use", providers.Messages,
			`{"max_tokens":5,"tools":[{"name":"f","description":"d","input_schema":{"type":"object"}}],
			  "tool_choice":{"type":"any","disable_parallel_tool_use":true},"messages":[{"role":"user","content":"x"},
			  {"role":"assistant","content":[{"type":"text","text":"let me"},{"type":"tool_use","id":"c1","name":"f","input":{"a":1}},{"type":"tool_use","id":"c2","name":"f","input":{}}]},
			  {"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":"one","is_error":false},
			  {"type":"tool_result","tool_use_id":"c2","content":[{"type":"text","text":"two"}]},{"type":"text","text":"and?"}]}]}`,
			`{"max_tokens":5,"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}],
			  "tool_choice":"required","parallel_tool_calls":false,"messages":[{"role":"user","content":"x"},
			  {"role":"assistant","content":"let me","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},
			  {"id":"c2","type":"function","function":{"name":"f","arguments":"{}"}}]},
			  {"role":"tool","tool_call_id":"c1","content":"one"},{"role":"tool","tool_call_id":"c2","content":"two"},
			  {"role":"user","content":"and?"}]}`,
		},
	} {
		t.Run(c.endpoint[4:]+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			p := saying(`{"content":"Hi"}`, "stop")
			req := providers.Request{Endpoint: c.endpoint, Model: "m", IdempotencyKey: "e-1", Body: json.RawMessage(c.body)}
			if _, err := translate.New(p, chatOnly).Call(t.Context(), req, nil); err != nil {
				t.Fatal(err, detailOf(err))
			}
			if !same(t, p.asked.Body, c.want) {
				t.Errorf("asked\ngot  %s\nwant %s", p.asked.Body, c.want)
			}
			if p.asked.Endpoint != providers.ChatCompletions || p.asked.Model != "m" || p.asked.IdempotencyKey != "e-1" {
				t.Errorf("asked %+v", p.asked)
			}
			if err := translate.Check(nil, chatOnly)(c.endpoint, json.RawMessage(c.body)); err != nil {
				t.Errorf("the check says %v", err)
			}
		})
	}
}

func detailOf(err error) string {
	if failure, ok := errors.AsType[*providers.Error](err); ok {
		return failure.Detail
	}
	return ""
}

// TestTheBoundHasTwoNames: servers differ in it.
func TestTheBoundHasTwoNames(t *testing.T) {
	t.Parallel()
	p := saying(`{"content":"Hi"}`, "stop")
	config := chatOnly
	config.NewLimit = true
	req := providers.Request{Endpoint: providers.Responses, Body: json.RawMessage(`{"input":"x","max_output_tokens":7}`)}
	if _, err := translate.New(p, config).Call(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	if want := `{"max_completion_tokens":7,"messages":[{"content":"x","role":"user"}]}`; string(p.asked.Body) != want {
		t.Errorf("got %s, want %s", p.asked.Body, want)
	}
}

// TestWhatCannotBeSaidIsNamed in the caller's own words, also when it is the next
// format that cannot, and nobody is called.
func TestWhatCannotBeSaidIsNamed(t *testing.T) {
	t.Parallel()
	const message = `{"role":"user","content":"x"}`
	for _, c := range []struct{ endpoint, body, pointer string }{
		{providers.Responses, `{"input":"x","previous_response_id":"resp_1"}`, "/previous_response_id"},
		{providers.Responses, `{"input":"x","conversation":"conv_1"}`, "/conversation"},
		{providers.Responses, `{"input":"x","background":true}`, "/background"},
		{providers.Responses, `{"input":"x","store":true}`, "/store"},
		{providers.Responses, `{"input":[{"type":"item_reference","id":"msg_1"}]}`, "/input/0"},
		{providers.Responses, `{"input":[` + message + `,{"type":"reasoning","id":"rs_1","summary":[]}]}`, "/input/1"},
		{providers.Responses, `{"input":[{"type":"web_search_call"}]}`, "/input/0/type"},
		{providers.Responses, `{"input":[{"role":"user","content":[{"type":"input_image","file_id":"f"}]}]}`, "/input/0/content/0/file_id"},
		{providers.Responses, `{"input":[{"role":"user","content":[{"type":"input_image","image_url":"x","detail":"original"}]}]}`, "/input/0/content/0/detail"},
		{providers.Responses, `{"input":[{"role":"user","content":[{"type":"input_file","file_url":"x"}]}]}`, "/input/0/content/0/file_url"},
		{providers.Responses, `{"input":[{"role":"assistant","content":[{"type":"output_text","text":"x","annotations":[{}]}]}]}`, "/input/0/content/0/annotations"},
		{providers.Responses, `{"input":[{"role":"system","content":[{"type":"input_image","image_url":"x"}]}]}`, "/input/0/content/0/type"},
		{
			providers.Responses, `{"input":[{"type":"function_call","call_id":"c","name":"f"},{"role":"assistant","content":"x"}]}`, "/input/1",
		},
		{providers.Responses, `{"input":"x","tools":[{"type":"function","name":"f"},{"type":"web_search"}]}`, "/tools/1/type"},
		{providers.Responses, `{"input":"x","tools":[{"type":"function","name":"f","defer_loading":true}]}`, "/tools/0/defer_loading"},
		{providers.Responses, `{"input":"x","tool_choice":"required"}`, "/tool_choice"},
		{providers.Responses, `{"input":"x","tools":[{"type":"function","name":"f"}],"tool_choice":{"type":"allowed_tools"}}`, "/tool_choice/type"},
		{providers.Responses, `{"input":"x","include":["reasoning.encrypted_content"]}`, "/include"},
		{providers.Responses, `{"input":"x","reasoning":{"summary":"auto"}}`, "/reasoning/summary"},
		{providers.Responses, `{"input":"x","truncation":"auto"}`, "/truncation"},
		{providers.Responses, `{"input":"x","prompt":{"id":"p"}}`, "/prompt"},
		{providers.Responses, `{"input":"x","max_tool_calls":3}`, "/max_tool_calls"},
		{providers.Responses, `{"input":"x","top_logprobs":2}`, "/top_logprobs"},
		{providers.Responses, `{"input":"x","text":{"format":{"type":"grammar"}}}`, "/text/format/type"},
		{providers.Responses, `{"input":"x","max_output_tokens":0}`, "/max_output_tokens"},
		{providers.Responses, `{"input":[]}`, "/input"},
		{providers.Responses, `{}`, "/input"},
		{providers.Messages, `{"max_tokens":5,"messages":[` + message + `],"top_k":3}`, "/top_k"},
		{providers.Messages, `{"max_tokens":5,"messages":[` + message + `],"thinking":{"type":"enabled","budget_tokens":1024}}`, "/thinking/type"},
		{providers.Messages, `{"max_tokens":5,"messages":[` + message + `,{"role":"assistant","content":"{"}]}`, "/messages/1"},
		{
			providers.Messages, `{"max_tokens":5,"system":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}],"messages":[` + message + `]}`,
			"/system/0/cache_control",
		},
		{providers.Messages, `{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","is_error":true}]}]}`, "/messages/0/content/0/is_error"},
		{
			providers.Messages, `{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"tool_result","tool_use_id":"c"}]}]}`,
			"/messages/0/content/1",
		},
		{
			providers.Messages,
			`{"max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}},{"type":"text","text":"x"}]},` + message + `]}`,
			"/messages/0/content/1",
		},
		{providers.Messages, `{"max_tokens":5,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]}`, "/messages/0/content/0/source/file_id"},
		{providers.Messages, `{"max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"x","signature":"y"}]},` + message + `]}`, "/messages/0/content/0/type"},
		{providers.Messages, `{"max_tokens":5,"messages":[` + message + `],"tools":[{"type":"web_search_20250305","name":"web_search"}]}`, "/tools/0/type"},
		{providers.Messages, `{"max_tokens":5,"messages":[` + message + `],"tool_choice":{"type":"any"}}`, "/tool_choice"},
		{providers.Messages, `{"max_tokens":5,"messages":[` + message + `],"service_tier":"flex"}`, "/service_tier"},
		{providers.Messages, `{"max_tokens":0,"messages":[` + message + `]}`, "/max_tokens"},
		{providers.Messages, `{"max_tokens":5,"messages":[]}`, "/messages"},
		{providers.Messages, `{"max_tokens":5}`, "/messages"},

		// What chat completions can say and Anthropic's format cannot.
		{providers.Responses, `{"input":"x","text":{"format":{"type":"json_object"}}}`, "/text/format"},
		{providers.Responses, `{"input":"x","temperature":1.5}`, "/temperature"},
		{providers.Responses, `{"input":"x","prompt_cache_key":"k"}`, "/prompt_cache_key"},
		{providers.Responses, `{"input":"x","reasoning":{"effort":"minimal"}}`, "/reasoning/effort"},
		{providers.Responses, `{"instructions":"x","input":[{"role":"user","content":[{"type":"input_text","text":"x"},{"type":"input_image","image_url":"ftp://x"}]}]}`, "/input/0/content/1"},
		{providers.Responses, `{"input":[` + message + `,{"type":"function_call","call_id":"c","name":"f","arguments":"["}]}`, "/input/1"},
		{providers.Responses, `{"input":"x","tools":[{"type":"function","name":"f","parameters":{"type":"array"}}]}`, "/tools/0"},
		{providers.Responses, `{"instructions":"x","input":[` + message + `,{"role":"assistant","content":"y"}]}`, "/input/1"},
		{providers.Responses, `{"instructions":"x","input":[{"role":"system","content":"y"}]}`, "/input"},
	} {
		check := translate.Check(anthropic.Check, chatOnly)
		unsupported, ok := errors.AsType[*providers.UnsupportedError](check(c.endpoint, json.RawMessage(c.body)))
		if !ok || unsupported.Pointer != c.pointer || unsupported.Reason == "" {
			t.Errorf("%s %s: got %v, want it refused at %s", c.endpoint, c.body, unsupported, c.pointer)
		}
		provider, err := anthropic.New(anthropic.Config{BaseURL: "http://127.0.0.1:1/v1"}) // never called
		if err != nil {
			t.Fatal(err)
		}
		req := providers.Request{Endpoint: c.endpoint, Body: json.RawMessage(c.body)}
		_, err = translate.New(provider, chatOnly).Call(t.Context(), req, nil)
		failure, ok := errors.AsType[*providers.Error](err)
		if !ok || failure.Unsupported == nil || failure.Unsupported.Pointer != c.pointer {
			t.Errorf("%s %s: got %v, want a call refused at %s", c.endpoint, c.body, err, c.pointer)
		}
	}
}

// TestWhatIsNotTranslatedGoesThrough: what the provider has, and what nobody has.
func TestWhatIsNotTranslatedGoesThrough(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		endpoint string
		native   []string
		want     string
	}{
		{providers.ChatCompletions, chatOnly.Native, providers.ChatCompletions},
		{providers.Embeddings, chatOnly.Native, providers.Embeddings},
		{providers.Responses, []string{providers.ChatCompletions, providers.Responses}, providers.Responses},
		{providers.Responses, []string{providers.Embeddings}, providers.Responses},
		{providers.Messages, chatOnly.Native, providers.ChatCompletions},
	} {
		p := saying(`{"content":"Hi"}`, "stop")
		body := json.RawMessage(`{"messages":[{"role":"user","content":"x"}]}`)
		req := providers.Request{Endpoint: c.endpoint, Body: body}
		if _, err := translate.New(p, translate.Config{Native: c.native}).Call(t.Context(), req, nil); err != nil {
			t.Errorf("%s: %v", c.endpoint, err)
		}
		if p.asked.Endpoint != c.want {
			t.Errorf("%s of %v: asked for %s, want %s", c.endpoint, c.native, p.asked.Endpoint, c.want)
		}
	}
	_, err := translate.New(saying(`{}`, "stop"), chatOnly).Call(t.Context(), providers.Request{Endpoint: providers.Responses, Body: json.RawMessage(`[]`)}, nil)
	if failure, ok := errors.AsType[*providers.Error](err); !ok || failure.Class != providers.BadRequest {
		t.Errorf("a body that is no object: got %v, want bad_request", err)
	}
}
