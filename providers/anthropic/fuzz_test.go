package anthropic

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/field"
	"github.com/penstock-dev/penstock/providers/internal/transport"
	"github.com/penstock-dev/penstock/providers/internal/transporttest"
)

// FuzzStream: whatever a server streams, there is no panic, no memory beyond a
// multiple of what it sent, and no whole answer without its terminal event and
// a stop reason that is known (invariant 11). A whole answer is a chat
// completion, and how the bytes were cut into reads changes nothing.
func FuzzStream(f *testing.F) {
	const start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"c\",\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n"
	const end = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\ndata: {\"type\":\"message_stop\"}\n\n"
	for _, seed := range []string{
		start + "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n" +
			"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\\ud83d\"}}\r\n\r\n" +
			"data: {\"type\":\"content_block_stop\",\"index\":0}\n\n" + end,
		start + "data: {\"type\":\"content_block_start\",\"index\":9,\"content_block\":{\"type\":\"tool_use\",\"id\":\"a\",\"name\":\"f\",\"input\":{}}}\n\n" +
			"data: {\"type\":\"content_block_delta\",\"index\":9,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{}\"}}\n\n" +
			"data: {\"type\":\"content_block_stop\",\"index\":9}\n\n" + strings.Replace(end, "end_turn", "tool_use", 1),
		start + "event: ping\ndata: {\"type\":\"ping\"}\n\n" + end,
		start + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
		"data: {\"type\":\"message_stop\"}\n\n", "data\n\ndata:\n\nid: 1\n\ndata: null\n\n",
	} {
		f.Add([]byte(seed))
	}
	nobody := func(json.RawMessage, bool) {}
	f.Fuzz(func(t *testing.T, stream []byte) {
		answer, _, err := transporttest.ReadTwice(t, stream, func(events *transport.Events) (transport.Answer, error) {
			return readStream(events, nobody)
		})
		if err != nil {
			return
		}
		escaped := bytes.Contains(stream, []byte(`\u`)) || bytes.Contains(stream, []byte("data"+":"+"\n"))
		if !escaped && (!bytes.Contains(stream, []byte("message_stop")) || finishes[stopReasonOf(stream)] == "") {
			t.Errorf("a whole answer of a stream without terminal event or stop reason: %q", stream)
		}
		transporttest.Completion(t, answer.Body, 1)
	})
}

// stopReasonOf is a stop reason that the stream names, if any.
func stopReasonOf(stream []byte) string {
	for reason := range finishes {
		if bytes.Contains(stream, []byte(reason)) {
			return reason
		}
	}
	return ""
}

// FuzzRequest: whatever is asked, there is no panic. It is refused with the
// name of a field, or becomes a request with all that Messages requires, the
// same one each time.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"messages":[{"role":"user","content":"x"}],"max_tokens":5,"stop":["a"],"temperature":0.5}`,
		`{"messages":[{"role":"system","content":"x"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}]}`,
		`{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a"}],
		  "tools":[{"type":"function","function":{"name":"f","parameters":{}}}],"tool_choice":"required","parallel_tool_calls":false}`,
		`{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}},"user":"u"}`,
		`{"messages":[{"role":"user","content":"x"}],"a/b~":1}`, `null`, `[]`, `{"messages":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) {
			return // nobody calls with what is no JSON
		}
		r, err := translate(providers.ChatCompletions, body)
		if err != nil {
			transporttest.Refusal(t, err, Check(providers.ChatCompletions, body))
			return
		}
		if len(r.Messages) == 0 || r.Messages[len(r.Messages)-1].Role == "assistant" || r.MaxTokens < 0 {
			t.Errorf("got %+v", r)
		}
		for i, m := range r.Messages {
			if len(m.Content) == 0 || i > 0 && r.Messages[i-1].Role == m.Role {
				t.Errorf("message %d: got %+v", i, m)
			}
		}
		if written, err := field.Encode(r); err != nil || !json.Valid(written) {
			t.Errorf("got %s, error %v", written, err)
		}
	})
}
