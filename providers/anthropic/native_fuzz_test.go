package anthropic

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/providers/internal/transport"
	"github.com/penstock-dev/penstock/providers/internal/transporttest"
)

// FuzzNativeStream: as FuzzStream, for messages that are passed through. A whole
// answer is a message with the stop reason it was judged by.
func FuzzNativeStream(f *testing.F) {
	const start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"type\":\"message\",\"model\":\"c\",\"content\":[],\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}\n\n"
	const end = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":2}}\n\ndata: {\"type\":\"message_stop\"}\n\n"
	block := func(kind, delta string) string {
		return "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"" + kind + "\",\"input\":{}}}\n\n" +
			"data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":" + delta + "}\r\n\r\n" +
			"data: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
	}
	for _, seed := range []string{
		start + block("text", `{"type":"text_delta","text":"Hi\ud83d"}`) + end,
		start + block("tool_use", `{"type":"input_json_delta","partial_json":"{\"a\":"}`) + strings.Replace(end, "end_turn", "max_tokens", 1),
		start + block("thinking", `{"type":"signature_delta","signature":"x"}`) + strings.Replace(end, "end_turn", "pause_turn", 1),
		start + block("text", `{"type":"citations_delta","citation":null}`) + end,
		start + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n",
		"data: {\"type\":\"message_delta\",\"delta\":{\"a\":1}}\n\n", "data: {\"type\":\"message_stop\"}\n\n", start + "data: null\n\n" + end,
	} {
		f.Add([]byte(seed))
	}
	nobody := func(json.RawMessage, bool) {}
	f.Fuzz(func(t *testing.T, stream []byte) {
		answer, again, err := transporttest.ReadTwice(t, stream, func(events *transport.Events) (transport.Answer, error) {
			return readNativeStream(events, nobody)
		})
		if !bytes.Equal(again.Body, answer.Body) {
			t.Errorf("byte by byte: got %s, want %s", again.Body, answer.Body)
		}
		if err != nil {
			return
		}
		var message struct {
			StopReason string            `json:"stop_reason"`
			Content    []json.RawMessage `json:"content"`
		}
		if err := json.Unmarshal(answer.Body, &message); err != nil || !utf8.Valid(answer.Body) {
			t.Fatalf("the answer is no message: %v: %q", err, answer.Body)
		}
		if known := finishes[message.StopReason]; known != answer.Finish && message.StopReason != "pause_turn" || message.Content == nil {
			t.Errorf("finish %q of the message %s", answer.Finish, answer.Body)
		}
	})
}
