package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
	"github.com/penstock-dev/penstock/providers/internal/transporttest"
)

// nobody is told of a stream's chunks.
func nobody(json.RawMessage, bool) {}

// FuzzStream: whatever a server streams, there is no panic, no memory beyond a
// multiple of what it sent, and no whole answer without both its terminal
// event and a finish reason (invariant 11). A whole answer is valid JSON of
// the right shape, and how the bytes were cut into reads changes nothing.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n",
		"data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\r\rdata:[DONE]",
		"event: error\ndata: {\"error\":\"x\"}\n\n",
		": c\n\ndata: {\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":9,\"id\":\"a\",\"function\":{\"arguments\":\"{\"}},{}]}}]}\n\n",
		"data: {\"choices\":[{\"index\":1,\"delta\":{\"x\":[{\"index\":0,\"y\":\"\\ud83d\"}]},\"logprobs\":{\"content\":[1]}}],\"usage\":{}}\r\n\r\n",
		"data: {\"choices\":[\ndata: ]}\n\ndata: [DONE]\n\n",
		"data\n\ndata:\n\nid: 1\n\ndata: null\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		var answer *chat.Assembly
		_, _, err := transporttest.ReadTwice(t, stream, func(events *transport.Events) (got transport.Answer, err error) {
			answer, err = readStream(events, false, nobody)
			return transport.Answer{Partial: answer.Partial()}, err
		})
		if err == nil {
			checkWhole(t, stream, answer)
		}
	})
}

func checkWhole(t *testing.T, stream []byte, answer *chat.Assembly) {
	t.Helper()
	if !bytes.Contains(stream, []byte("[DONE]")) || !bytes.Contains(stream, []byte("finish_reason")) &&
		!bytes.Contains(stream, []byte(`\u`)) {
		t.Errorf("a whole answer of a stream without terminal event or finish reason: %q", stream)
	}
	body := answer.Body()
	var completion struct {
		Object  string `json:"object"`
		Choices []struct {
			Message struct {
				Role string `json:"role"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(body, &completion); err != nil && !isShapeError(err) || !utf8.Valid(body) {
		t.Fatalf("the answer is no JSON: %v: %q", err, body)
	}
	if len(completion.Choices) == 0 || completion.Object != "chat.completion" {
		t.Errorf("the answer is no completion: %s", body)
	}
	for _, c := range completion.Choices {
		if c.FinishReason == "" {
			t.Errorf("a choice without finish reason: %s", body)
		}
	}
}

// isShapeError is valid JSON with a member of another type: a role that is a
// number goes through as it came.
func isShapeError(err error) bool {
	var shape *json.UnmarshalTypeError
	return errors.As(err, &shape)
}
