package anthropic

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// BenchmarkReadStream reads an answer of 500 tokens, one event each.
func BenchmarkReadStream(b *testing.B) {
	const tokens = 500
	var stream strings.Builder
	event := func(data string) { stream.WriteString("event: x\ndata: " + data + "\n\n") }
	event(`{"type":"message_start","message":{"id":"msg_1","model":"m","usage":{"input_tokens":1,"output_tokens":1}}}`)
	event(`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`)
	for i := range tokens {
		event(fmt.Sprintf(`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" word%d"}}`, i))
	}
	event(`{"type":"content_block_stop","index":0}`)
	event(`{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":500}}`)
	event(`{"type":"message_stop"}`)
	b.SetBytes(int64(stream.Len()))
	b.ReportAllocs()
	for b.Loop() {
		events := transport.NewEvents(bufio.NewReader(strings.NewReader(stream.String())), 1<<20)
		answer, err := readStream(events, func(json.RawMessage, bool) {})
		if err != nil || !bytes.Contains(answer.Body, []byte("word499")) {
			b.Fatalf("got %.200s, error %v", answer.Body, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*tokens), "µs/chunk")
}

// BenchmarkCheck checks a conversation of 100 messages of 1 KiB.
func BenchmarkCheck(b *testing.B) {
	text := strings.Repeat("0123456789abcdef", 64)
	var messages []string
	for i := range 101 {
		messages = append(messages, fmt.Sprintf(`{"role":%q,"content":%q}`, []string{"user", "assistant"}[i%2], text))
	}
	body := json.RawMessage(`{"model":"m","messages":[` + strings.Join(messages, ",") + `],"max_tokens":100}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Check(providers.ChatCompletions, body); err != nil {
			b.Fatal(err)
		}
	}
}
