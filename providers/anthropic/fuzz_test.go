package anthropic

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/field"
	"github.com/penstock-dev/penstock/providers/internal/transport"
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
	const limit = 1 << 16
	nobody := func(json.RawMessage, bool) {}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer, err := readStream(transport.NewEvents(bufio.NewReader(bytes.NewReader(stream)), limit), nobody)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20+uint64(len(stream))*2000 {
			t.Errorf("%d bytes made %d bytes of garbage", len(stream), grown)
		}
		slow := bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(stream)), 16)
		again, againErr := readStream(transport.NewEvents(slow, limit), nobody)
		if (err == nil) != (againErr == nil) || again.Partial != answer.Partial {
			t.Errorf("byte by byte: got %v, %q, want %v, %q", againErr, again.Partial, err, answer.Partial)
		}
		checkAnswer(t, stream, answer, err)
	})
}

func checkAnswer(t *testing.T, stream []byte, answer transport.Answer, err error) {
	t.Helper()
	if err != nil {
		if _, ok := errors.AsType[*providers.Error](err); !ok || errors.Is(err, io.EOF) || answer.Body != nil {
			t.Errorf("got %v and body %s", err, answer.Body)
		}
		return
	}
	escaped := bytes.Contains(stream, []byte(`\u`)) || bytes.Contains(stream, []byte("data"+":"+"\n"))
	if !escaped && (!bytes.Contains(stream, []byte("message_stop")) || finishes[stopReasonOf(stream)] == "") {
		t.Errorf("a whole answer of a stream without terminal event or stop reason: %q", stream)
	}
	var completion struct {
		Object  string `json:"object"`
		Choices []struct {
			Message struct {
				Role string `json:"role"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(answer.Body, &completion); err != nil || !utf8.Valid(answer.Body) {
		t.Fatalf("the answer is no JSON: %v: %q", err, answer.Body)
	}
	if completion.Object != "chat.completion" || len(completion.Choices) != 1 ||
		completion.Choices[0].Message.Role != "assistant" || completion.Choices[0].FinishReason == "" {
		t.Errorf("the answer is no completion: %s", answer.Body)
	}
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
			unsupported, ok := errors.AsType[*providers.UnsupportedError](err)
			if !ok || unsupported.Reason == "" || unsupported.Pointer != "" && unsupported.Pointer[0] != '/' {
				t.Errorf("got %v", err)
			}
			again := Check(providers.ChatCompletions, body)
			if again == nil || again.Error() != err.Error() {
				t.Errorf("got %v, and then %v", err, again)
			}
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
