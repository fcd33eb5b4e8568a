package gemini

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
	for i := range tokens {
		_, _ = fmt.Fprintf(&stream, `data: {"candidates":[{"content":{"parts":[{"text":" word%d"}],"role":"model"},"index":0}],`+
			`"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":%d,"totalTokenCount":%d},"modelVersion":"m","responseId":"r"}`+"\n\n",
			i, i+1, i+2)
	}
	stream.WriteString(`data: {"candidates":[{"finishReason":"STOP"}]}` + "\n\n")
	b.SetBytes(int64(stream.Len()))
	b.ReportAllocs()
	for b.Loop() {
		events := transport.NewEvents(bufio.NewReader(strings.NewReader(stream.String())), 1<<20)
		answer, err := readStream(events, func(json.RawMessage, bool) {}, 1)
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
