package openai

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/providers/internal/transport"
	"github.com/penstock-dev/penstock/providers/internal/transporttest"
)

// FuzzResponseStream: whatever a server streams, there is no panic, no memory
// beyond a multiple of what it sent, and no whole answer without a terminal event
// whose response is at its end (invariant 11). How the bytes were cut into reads
// changes nothing.
func FuzzResponseStream(f *testing.F) {
	const whole = `{"object":"response","status":"completed","model":"m","output":[{"type":"message","content":[{"type":"output_text","text":"Hi"}]}],` +
		`"usage":{"input_tokens":1,"output_tokens":2}}`
	for _, seed := range []string{
		"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n" +
			"event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":" + whole + "}\n\n",
		"event: response.completed\ndata: {\"response\":" + whole + "}\r\n\r\n",
		"data: {\"type\":\"response.incomplete\",\"response\":{\"status\":\"incomplete\",\"incomplete_details\":{\"reason\":\"max_output_tokens\"},\"output\":[]}}\n\n",
		"data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\"}}}\n\n",
		"data: {\"type\":\"response.output_text.delta\",\"delta\":\"\\ud83d\"}\n\ndata: [DONE]\n\n",
		"data: {\"type\":\"response.completed\",\"response\":{\"status\":\"in_progress\"}}\n\n",
		"event: error\ndata: x\n\n", "data\n\ndata:\n\nid: 1\n\ndata: null\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		answer, again, err := transporttest.ReadTwice(t, stream, func(events *transport.Events) (transport.Answer, error) {
			return readResponseStream(events, nobody)
		})
		if !bytes.Equal(again.Body, answer.Body) {
			t.Errorf("byte by byte: got %s, want %s", again.Body, answer.Body)
		}
		if err != nil {
			return
		}
		var response struct {
			Status string `json:"status"`
		}
		if err := json.Unmarshal(answer.Body, &response); err != nil || !utf8.Valid(answer.Body) {
			t.Fatalf("the answer is no JSON: %v: %q", err, answer.Body)
		}
		if response.Status != "completed" && response.Status != "incomplete" || answer.Finish == "" {
			t.Errorf("a whole answer with status %q and finish %q: %s", response.Status, answer.Finish, answer.Body)
		}
	})
}
