package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// BenchmarkReadStream reads an answer of 500 tokens, one chunk each.
func BenchmarkReadStream(b *testing.B) {
	const tokens = 500
	var stream strings.Builder
	for i := range tokens {
		fmt.Fprintf(&stream, `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"m",`+
			`"system_fingerprint":"fp","choices":[{"index":0,"delta":{"content":" word%d"},"logprobs":null,`+
			`"finish_reason":null}],"usage":null}`+"\n\n", i)
	}
	stream.WriteString(`data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n")
	b.SetBytes(int64(stream.Len()))
	b.ReportAllocs()
	for b.Loop() {
		answer, err := readStream(transport.NewEvents(bufio.NewReader(strings.NewReader(stream.String())), 1<<20), false, nobody)
		if err != nil {
			b.Fatal(err)
		}
		if body := answer.Body(); !json.Valid(body) || !bytes.Contains(body, []byte("word499")) {
			b.Fatalf("got %.200s", body)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*tokens), "µs/chunk")
}
