package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"runtime"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/providers/internal/transport"
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
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, stream []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer, err := readResponseStream(transport.NewEvents(bufio.NewReader(bytes.NewReader(stream)), limit), nobody)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20+uint64(len(stream))*2000 {
			t.Errorf("%d bytes made %d bytes of garbage", len(stream), grown)
		}
		checkFailure(t, err)
		slow := bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(stream)), 16)
		again, againErr := readResponseStream(transport.NewEvents(slow, limit), nobody)
		if (err == nil) != (againErr == nil) || again.Partial != answer.Partial || !bytes.Equal(again.Body, answer.Body) {
			t.Errorf("byte by byte: got %v, %+v, want %v, %+v", againErr, again, err, answer)
		}
		if err != nil {
			if answer.Body != nil {
				t.Errorf("got %v and the body %s", err, answer.Body)
			}
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
