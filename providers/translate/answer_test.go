package translate_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/translate"
)

// parts takes members of an answer that a test is not about out of it.
func parts(t *testing.T, body json.RawMessage, names ...string) json.RawMessage {
	t.Helper()
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(body, &members); err != nil {
		t.Fatal(err)
	}
	wanted := map[string]json.RawMessage{}
	for _, name := range names {
		wanted[name] = members[name]
	}
	out, err := json.Marshal(wanted)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestWhatIsAnswered(t *testing.T) {
	t.Parallel()
	const calls = `"tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}},` +
		`{"id":"","function":{"name":"g","arguments":""}}]`
	for _, c := range []struct{ name, endpoint, message, finish, want string }{
		{
			"nothing", providers.Responses, `{"content":""}`, "stop",
			`{"status":"completed","incomplete_details":null,"output":[{"id":"msg_1","type":"message","role":"assistant","status":"completed",
			  "content":[{"type":"output_text","text":"","annotations":[],"logprobs":[]}]}]}`,
		},
		{
			"the bound", providers.Responses, `{"content":"Hel"}`, "length",
			`{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[{"id":"msg_1","type":"message",
			  "role":"assistant","status":"incomplete","content":[{"type":"output_text","text":"Hel","annotations":[],"logprobs":[]}]}]}`,
		},
		{
			"a refusal", providers.Responses, `{"content":null,"refusal":"no"}`, "stop",
			`{"status":"completed","incomplete_details":null,"output":[{"id":"msg_1","type":"message","role":"assistant",
			  "status":"completed","content":[{"type":"refusal","refusal":"no"}]}]}`,
		},
		{
			"calls alone", providers.Responses, `{"content":null,` + calls + `}`, "tool_calls",
			`{"status":"completed","incomplete_details":null,"output":[
			  {"id":"fc_1_0","type":"function_call","status":"completed","call_id":"c1","name":"f","arguments":"{\"a\":1}"},
			  {"id":"fc_1_1","type":"function_call","status":"completed","call_id":"fc_1_1","name":"g","arguments":""}]}`,
		},
		{
			"thoughts are not the answer", providers.Responses,
			`{"content":[{"type":"thinking","thinking":[]},{"type":"text","text":"Hi"}],"reasoning_content":"Hm."}`, "stop",
			`{"status":"completed","incomplete_details":null,"output":[{"id":"msg_1","type":"message","role":"assistant",
			  "status":"completed","content":[{"type":"output_text","text":"Hi","annotations":[],"logprobs":[]}]}]}`,
		},
		{
			"nothing", providers.Messages, `{"content":""}`, "stop",
			`{"content":[],"stop_reason":"end_turn","stop_details":null}`,
		},
		{
			"the bound", providers.Messages, `{"content":"Hel","tool_calls":[{"id":"c1","function":{"name":"f","arguments":"{\"a"}}]}`, "length",
			`{"content":[{"type":"text","text":"Hel","citations":null},{"type":"tool_use","id":"c1","name":"f","input":{}}],
			  "stop_reason":"max_tokens","stop_details":null}`,
		},
		{
			"a refusal", providers.Messages, `{"content":null,"refusal":"no"}`, "stop",
			`{"content":[{"type":"text","text":"no","citations":null}],"stop_reason":"refusal",
			  "stop_details":{"type":"refusal","category":null,"explanation":"no"}}`,
		},
		{
			"text and calls", providers.Messages, `{"content":"let me",` + calls + `}`, "tool_calls",
			`{"content":[{"type":"text","text":"let me","citations":null},{"type":"tool_use","id":"c1","name":"f","input":{"a":1}},
			  {"type":"tool_use","id":"toolu_1_1","name":"g","input":{}}],"stop_reason":"tool_use","stop_details":null}`,
		},
	} {
		t.Run(c.endpoint[4:]+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			names := []string{"status", "incomplete_details", "output"}
			body := `{"input":"x"}`
			if c.endpoint == providers.Messages {
				names = []string{"content", "stop_reason", "stop_details"}
				body = `{"max_tokens":5,"messages":[{"role":"user","content":"x"}]}`
			}
			req := providers.Request{Endpoint: c.endpoint, Body: json.RawMessage(body)}
			got, err := translate.New(saying(c.message, c.finish), chatOnly).Call(t.Context(), req, nil)
			if err != nil {
				t.Fatal(err)
			}
			if answer := parts(t, got.Body, names...); !same(t, answer, c.want) {
				t.Errorf("answer\ngot  %s\nwant %s", answer, c.want)
			}
			if got.FinishReason != c.finish || got.RequestID != "req_1" || !got.Usage.Known {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestAResponseRepeatsItsRequest: as the API does.
func TestAResponseRepeatsItsRequest(t *testing.T) {
	t.Parallel()
	body := `{"input":"x","instructions":"i","temperature":0.5,"max_output_tokens":9,"metadata":{"a":"b"},"tool_choice":"auto",
	  "tools":[{"type":"function","name":"f","parameters":{}}],"parallel_tool_calls":false,"text":{"verbosity":"low"},"reasoning":{"effort":"low"}}`
	req := providers.Request{Endpoint: providers.Responses, Body: json.RawMessage(body)}
	got, err := translate.New(saying(`{"content":"Hi"}`, "stop"), chatOnly).Call(t.Context(), req, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"instructions":"i","temperature":0.5,"max_output_tokens":9,"metadata":{"a":"b"},"tool_choice":"auto","store":false,
	  "tools":[{"type":"function","name":"f","parameters":{}}],"parallel_tool_calls":false,"text":{"verbosity":"low"},
	  "reasoning":{"effort":"low"},"previous_response_id":null,"id":"resp_1","created_at":7,"model":"m-1","object":"response",
	  "usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":0},"output_tokens":5,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":14}}`
	repeated := parts(t, got.Body, "instructions", "temperature", "max_output_tokens", "metadata", "tool_choice", "store", "tools",
		"parallel_tool_calls", "text", "reasoning", "previous_response_id", "id", "created_at", "model", "object", "usage")
	if !same(t, repeated, want) {
		t.Errorf("got  %s\nwant %s", repeated, want)
	}
}

// TestAnswersThatCannotBeSaid are malformed, with what was spent on them.
func TestAnswersThatCannotBeSaid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ endpoint, message string }{
		{providers.Responses, `{"content":7}`},
		{providers.Responses, `{"content":"x","tool_calls":[{"id":"c","type":"custom","custom":{"name":"f"}}]}`},
		{providers.Messages, `{"content":"x","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"a"}}]}`},
		{providers.Messages, `7`},
	} {
		body := `{"input":"x"}`
		if c.endpoint == providers.Messages {
			body = `{"max_tokens":5,"messages":[{"role":"user","content":"x"}]}`
		}
		req := providers.Request{Endpoint: c.endpoint, Body: json.RawMessage(body)}
		_, err := translate.New(saying(c.message, "tool_calls"), chatOnly).Call(t.Context(), req, nil)
		failure, ok := errors.AsType[*providers.Error](err)
		if !ok || failure.Class != providers.Malformed || failure.Usage.OutputTokens != 5 || failure.RequestID != "req_1" || failure.HTTPStatus != 200 {
			t.Errorf("%s: got %+v, want malformed with its usage", c.message, failure)
		}
	}
}
