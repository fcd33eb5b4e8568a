package tokens_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/tokens"
)

// BenchmarkEstimate measures what a request costs by the size of its text, and
// BenchmarkRough beside it.
func BenchmarkEstimate(b *testing.B) {
	e := tokens.New()
	perSize(b, func(body []byte) { e.Estimate("m", providers.ChatCompletions, body) })
}

func BenchmarkRough(b *testing.B) {
	perSize(b, func(body []byte) { tokens.Rough(providers.ChatCompletions, body) })
}

func perSize(b *testing.B, estimate func([]byte)) {
	b.Helper()
	var all strings.Builder
	for _, r := range prompts(b) {
		all.WriteString(r.prompt + "\n")
	}
	text := strings.Repeat(all.String(), 1+8<<20/all.Len())
	for _, size := range []int{300, 1500, 8 << 10, 64 << 10, 8 << 20} {
		body, err := json.Marshal(map[string]any{"messages": []any{map[string]string{"role": "user", "content": text[:size]}}})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(strconv.Itoa(size), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				estimate(body)
			}
		})
	}
}
