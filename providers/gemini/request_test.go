package gemini_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/gemini"
	"github.com/penstock-dev/penstock/providers/providertest"
)

// seen is a request as the server got it.
type seen struct {
	method, target, body string
	header               http.Header
}

// record answers with reply and keeps the latest request.
func record(into *seen, reply http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*into = seen{r.Method, r.RequestURI, string(body), r.Header.Clone()}
		reply.ServeHTTP(w, r)
	})
}

const goodAnswer = `{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"},
  {"content":{"parts":[{"text":"Ho"}]},"finishReason":"STOP","index":1}]}`

// sent returns what becomes of a chat request on the wire.
func sent(t *testing.T, model, body string, config gemini.Config) seen {
	t.Helper()
	var got seen
	reply := providertest.Whole(200, `{"candidates":[{"content":{"parts":[{"text":"Hi"}]},"finishReason":"STOP"}]}`)
	if n := choicesOf(t, body); n > 1 {
		reply = providertest.Whole(200, goodAnswer)
	}
	provider := openWith(t, record(&got, reply), config)
	req := providers.Request{Endpoint: providers.ChatCompletions, Model: model, Body: json.RawMessage(body), IdempotencyKey: "e-1"}
	if _, err := provider.Call(t.Context(), req, nil); err != nil {
		failure, _ := errors.AsType[*providers.Error](err)
		t.Fatalf("got %v: %s", err, failure.Detail)
	}
	return got
}

func choicesOf(t *testing.T, body string) int {
	t.Helper()
	var asked struct {
		N int `json:"n"`
	}
	if err := json.Unmarshal([]byte(body), &asked); err != nil {
		t.Fatal(err)
	}
	return asked.N
}

func TestRequestsAreTranslated(t *testing.T) {
	t.Parallel()
	const (
		hi   = `"contents":[{"role":"user","parts":[{"text":"Hi"}]}]`
		user = `"messages":[{"role":"user","content":"Hi"}]`
		tool = `"tools":[{"type":"function","function":{"name":"h"}}]`
		h    = `"tools":[{"functionDeclarations":[{"name":"h"}]}]`
	)
	for _, c := range []struct{ name, body, want string }{
		{"a prompt", `{"model":"default",` + user + `}`, `{` + hi + `}`},
		{
			"what asks for nothing",
			`{"messages":[{"role":"user","content":"Hi","name":null}],"n":1,"logprobs":false,"top_logprobs":0,"seed":null,"logit_bias":{},
			  "modalities":["text"],"verbosity":"medium","store":false,"tools":[],"tool_choice":"auto","parallel_tool_calls":false,"stream":false,
			  "stream_options":{"include_usage":true},"response_format":{"type":"text"},"metadata":{},"user":"","stop":null,"service_tier":"auto"}`,
			`{` + hi + `}`,
		},
		{
			"sampling",
			`{` + user + `,"max_completion_tokens":9,"max_tokens":9,"temperature":1.70,"top_p":1,"top_k":40,"seed":-7,"n":2,
			  "presence_penalty":-2,"frequency_penalty":0.5,"stop":["END","\n"],"reasoning_effort":"high","service_tier":"default"}`,
			`{` + hi + `,"generationConfig":{"temperature":1.70,"topP":1,"topK":40,"maxOutputTokens":9,"candidateCount":2,"seed":-7,
			  "presencePenalty":-2,"frequencyPenalty":0.5,"stopSequences":["END","\n"],"thinkingConfig":{"thinkingLevel":"HIGH"}},"serviceTier":"standard"}`,
		},
		{
			"logprobs", `{` + user + `,"logprobs":true,"top_logprobs":20}`,
			`{` + hi + `,"generationConfig":{"responseLogprobs":true,"logprobs":20}}`,
		},
		{
			"logprobs of the answer alone", `{` + user + `,"logprobs":true,"top_logprobs":0}`,
			`{` + hi + `,"generationConfig":{"responseLogprobs":true}}`,
		},
		{
			"zeros that mean something, no thinking, a cheaper tier",
			`{` + user + `,"temperature":0,"seed":0,"stop":"END","reasoning_effort":"none","service_tier":"flex"}`,
			`{` + hi + `,"generationConfig":{"temperature":0,"seed":0,"stopSequences":["END"],"thinkingConfig":{"thinkingBudget":0}},"serviceTier":"flex"}`,
		},
		{
			"system prompts",
			`{"messages":[{"role":"system","content":"A"},{"role":"developer","content":[{"type":"text","text":"B"},{"type":"text","text":"C"}]},
			  {"role":"user","content":"1"},{"role":"user","content":"2"},{"role":"assistant","content":"3"},{"role":"assistant","content":"4"},
			  {"role":"user","content":"5"}]}`,
			`{"systemInstruction":{"parts":[{"text":"A"},{"text":"B"},{"text":"C"}]},"contents":[
			  {"role":"user","parts":[{"text":"1"},{"text":"2"}]},{"role":"model","parts":[{"text":"3"},{"text":"4"}]},{"role":"user","parts":[{"text":"5"}]}]}`,
		},
		{
			"tools",
			`{` + user + `,"tool_choice":{"type":"function","function":{"name":"f"}},"tools":[
			  {"type":"function","function":{"name":"f","description":"d","strict":true,"parameters":{"type":"object","properties":{"a":{"type":"string"}}}}},
			  {"type":"function","function":{"name":"g","parameters":{}}},{"type":"function","function":{"name":"h"}}]}`,
			`{` + hi + `,"tools":[{"functionDeclarations":[
			  {"name":"f","description":"d","parametersJsonSchema":{"type":"object","properties":{"a":{"type":"string"}}}},{"name":"g"},{"name":"h"}]}],
			  "toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}}}`,
		},
		{"tools as the model likes", `{` + user + `,` + tool + `,"parallel_tool_calls":true}`, `{` + hi + `,` + h + `}`},
		{
			"tools as the model likes, said", `{` + user + `,` + tool + `,"tool_choice":"auto"}`,
			`{` + hi + `,` + h + `,"toolConfig":{"functionCallingConfig":{"mode":"AUTO"}}}`,
		},
		{
			"some tool call", `{` + user + `,` + tool + `,"tool_choice":"required"}`,
			`{` + hi + `,` + h + `,"toolConfig":{"functionCallingConfig":{"mode":"ANY"}}}`,
		},
		{
			"no tool call", `{` + user + `,` + tool + `,"tool_choice":"none","parallel_tool_calls":false}`,
			`{` + hi + `,` + h + `,"toolConfig":{"functionCallingConfig":{"mode":"NONE"}}}`,
		},
		{
			"arguments that follow the schema", `{` + user + `,"tools":[{"type":"function","function":{"name":"h","strict":true}}]}`,
			`{` + hi + `,` + h + `,"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}}}`,
		},
		{
			"some of the tools, as the model likes",
			`{` + user + `,` + tool + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"h"}}]}}}`,
			`{` + hi + `,` + h + `,"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED","allowedFunctionNames":["h"]}}}`,
		},
		{
			"one of some tools",
			`{` + user + `,` + tool + `,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"h"}}]}}}`,
			`{` + hi + `,` + h + `,"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["h"]}}}`,
		},
		{
			"tool calls and their results",
			`{"messages":[{"role":"user","content":"1"},
			  {"role":"assistant","content":null,"refusal":null,"annotations":[],"tool_calls":[
			    {"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": 1}"},"extra_content":{"google":{"thought_signature":"c2ln"}}},
			    {"id":"b","type":"function","function":{"name":"g","arguments":""}}]},
			  {"role":"tool","tool_call_id":"b","content":"{\"error\":\"no such x\"}"},
			  {"role":"tool","tool_call_id":"a","content":[{"type":"text","text":"r"},{"type":"text","text":"s"}]},
			  {"role":"user","content":"2"},{"role":"assistant","content":"","tool_calls":[{"id":"a","type":"function","function":{"name":"h"}}]},
			  {"role":"tool","tool_call_id":"a","content":""}]}`,
			`{"contents":[{"role":"user","parts":[{"text":"1"}]},
			  {"role":"model","parts":[{"functionCall":{"id":"a","name":"f","args":{"x":1}},"thoughtSignature":"c2ln"},{"functionCall":{"id":"b","name":"g","args":{}}}]},
			  {"role":"user","parts":[{"functionResponse":{"id":"b","name":"g","response":{"output":"{\"error\":\"no such x\"}"}}},
			    {"functionResponse":{"id":"a","name":"f","response":{"output":["r","s"]}}}]},
			  {"role":"user","parts":[{"text":"2"}]},
			  {"role":"model","parts":[{"functionCall":{"id":"a","name":"h","args":{}}}]},
			  {"role":"user","parts":[{"functionResponse":{"id":"a","name":"h","response":{"output":""}}}]}]}`,
		},
		{
			"what the model refused",
			`{"messages":[{"role":"user","content":"1"},{"role":"assistant","content":null,"refusal":"No."},{"role":"user","content":"2"},
			  {"role":"assistant","content":[{"type":"text","text":"Well,"},{"type":"refusal","refusal":"no."}]},{"role":"user","content":"3"}]}`,
			`{"contents":[{"role":"user","parts":[{"text":"1"}]},{"role":"model","parts":[{"text":"No."}]},{"role":"user","parts":[{"text":"2"}]},
			  {"role":"model","parts":[{"text":"Well,"},{"text":"no."}]},{"role":"user","parts":[{"text":"3"}]}]}`,
		},
		{
			"images, sounds and files",
			`{"messages":[{"role":"user","content":[{"type":"text","text":"<&>"},
			  {"type":"image_url","image_url":{"url":"data:image/JPG;base64,AAAA","detail":"auto"}},
			  {"type":"image_url","image_url":{"url":"https://host/a%20cat.PNG?size=1#top"}},
			  {"type":"input_audio","input_audio":{"data":"CCCC","format":"mp3"}},
			  {"type":"file","file":{"file_data":"data:application/pdf;base64,BBBB"}}]}]}`,
			`{"contents":[{"role":"user","parts":[{"text":"<&>"},{"inlineData":{"mimeType":"image/jpeg","data":"AAAA"}},
			  {"fileData":{"mimeType":"image/png","fileUri":"https://host/a%20cat.PNG?size=1#top"}},{"inlineData":{"mimeType":"audio/mp3","data":"CCCC"}},
			  {"inlineData":{"mimeType":"application/pdf","data":"BBBB"}}]}]}`,
		},
		{
			"JSON", `{` + user + `,"response_format":{"type":"json_object"}}`,
			`{` + hi + `,"generationConfig":{"responseMimeType":"application/json"}}`,
		},
		{
			"a schema",
			`{` + user + `,"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"d","strict":true,
			  "schema":{"type":"object","properties":{},"additionalProperties":false}}}}`,
			`{` + hi + `,"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":
			  {"type":"object","properties":{},"additionalProperties":false,"title":"n","description":"d"}}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := sent(t, "m", c.body, gemini.Config{}); !equalJSON(t, got.body, c.want) {
				t.Errorf("\ngot  %s\nwant %s", got.body, c.want)
			}
			if err := gemini.Check(providers.ChatCompletions, json.RawMessage(c.body)); err != nil {
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

const plainRequest = `{"model":"from-the-body","messages":[{"role":"user","content":"Hi"}]}`

// TestTheModelIsInThePath: escaped, so that no name leads elsewhere.
func TestTheModelIsInThePath(t *testing.T) {
	t.Parallel()
	for model, want := range map[string]string{
		"gemini-x":           "/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
		"":                   "/v1beta/models/from-the-body:streamGenerateContent?alt=sse",
		"models/gemini-x":    "/v1beta/models/gemini-x:streamGenerateContent?alt=sse",
		"tunedModels/mine":   "/v1beta/tunedModels/mine:streamGenerateContent?alt=sse",
		"a b":                "/v1beta/models/a%20b:streamGenerateContent?alt=sse",
		"../../v1/files?x=y": "/v1beta/models/..%2F..%2Fv1%2Ffiles%3Fx=y:streamGenerateContent?alt=sse",
		"models/../files":    "/v1beta/models/..%2Ffiles:streamGenerateContent?alt=sse",
	} {
		if got := sent(t, model, plainRequest, gemini.Config{}); got.target != want {
			t.Errorf("%q: got %s, want %s", model, got.target, want)
		}
	}
	if got := sent(t, "m", strings.Replace(plainRequest, "{", `{"logprobs":true,`, 1), gemini.Config{}); got.target != "/v1beta/models/m:generateContent" {
		t.Errorf("with logprobs: got %s", got.target)
	}
	if got := sent(t, "m", plainRequest, gemini.Config{NoStreaming: true}); got.target != "/v1beta/models/m:generateContent" {
		t.Errorf("whole: got %s", got.target)
	}
	provider := open(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was sent") }))
	_, err := provider.Call(t.Context(), providers.Request{
		Endpoint: providers.ChatCompletions, Body: json.RawMessage(`{"messages":[{"role":"user","content":"Hi"}]}`),
	}, nil)
	if providers.ClassOf(err) != providers.BadRequest {
		t.Errorf("no model: got %v", err)
	}
}

func TestConfigShapesRequests(t *testing.T) {
	t.Parallel()
	got := sent(t, "m", plainRequest, gemini.Config{
		NoStreaming: true, Headers: map[string]gemini.Secret{"x-goog-user-project": "p-1"}, UserAgent: "agent/1",
	})
	for name, want := range map[string]string{
		"X-Goog-Api-Key": providertest.Key, "X-Goog-User-Project": "p-1", "User-Agent": "agent/1",
		"Content-Type": "application/json", "Accept": "application/json", "Authorization": "", "Idempotency-Key": "",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, got.header.Get(name), want)
		}
	}
	if got.method != http.MethodPost {
		t.Errorf("got %s", got.method)
	}
}

// TestForeignToolCallsAreMarked: for models that insist on a signature, the first
// call of each step that has none.
func TestForeignToolCallsAreMarked(t *testing.T) {
	t.Parallel()
	const call = `{"id":"a","type":"function","function":{"name":"f"}}`
	const signed = `{"id":"a","type":"function","function":{"name":"f"},"extra_content":{"google":{"thought_signature":"c2ln"}}}`
	body := func(calls string) string {
		return `{"messages":[{"role":"user","content":"1"},{"role":"assistant","content":"2","tool_calls":[` + calls + `]},
		  {"role":"tool","tool_call_id":"a","content":"3"},{"role":"assistant","tool_calls":[` + calls + `]},{"role":"tool","tool_call_id":"a","content":"4"}]}`
	}
	const foreign = "skip_thought_signature_validator"
	for _, c := range []struct {
		model, calls string
		want         []string // signatures
	}{
		{"gemini-3-flash", call, []string{foreign, foreign}},
		{"models/gemini-3.5-pro", call + `,` + call, []string{foreign, "", foreign, ""}},
		{"gemini-flash-latest", call, []string{foreign, foreign}},
		{"gemini-3-flash", signed + `,` + call, []string{"c2ln", "", "c2ln", ""}},
		{"gemini-2.5-flash", call, []string{"", ""}},
		{"gemini-1.5-pro", call, []string{"", ""}},
		{"gemma-3-27b-it", call, []string{"", ""}},
		{"tunedModels/mine", call, []string{"", ""}},
	} {
		var asked struct {
			Contents []struct {
				Parts []struct {
					FunctionCall     json.RawMessage `json:"functionCall"`
					ThoughtSignature string          `json:"thoughtSignature"`
				} `json:"parts"`
			} `json:"contents"`
		}
		if err := json.Unmarshal([]byte(sent(t, c.model, body(c.calls), gemini.Config{}).body), &asked); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, content := range asked.Contents {
			for _, part := range content.Parts {
				if part.FunctionCall != nil {
					got = append(got, part.ThoughtSignature)
				} else if part.ThoughtSignature != "" {
					t.Errorf("%s: a part that is no call has signature %q", c.model, part.ThoughtSignature)
				}
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s with %s: got %q, want %q", c.model, c.calls, got, c.want)
		}
	}
}
