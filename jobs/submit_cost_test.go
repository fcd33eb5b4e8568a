package jobs

import (
	"testing"

	"github.com/penstock-dev/penstock/providers"
)

func TestCost(t *testing.T) {
	t.Parallel()
	limit := int64(40)
	s := &Service{}
	r := Request{Endpoint: providers.ChatCompletions, Body: make([]byte, 400)}
	if got := (body{MaxTokens: &limit}).cost(r.Endpoint, s.input(r)); got != 141 {
		t.Errorf("by bytes: got %d, want 141", got)
	}
	WithInputTokens(func(_ string, b []byte) int64 { return int64(len(b)) })(s)
	if got := (body{}).cost(r.Endpoint, s.input(r)); got != 657 {
		t.Errorf("by an estimate: got %d, want 657", got)
	}
	if got := (body{}).cost(providers.Embeddings, s.input(r)); got != 401 {
		t.Errorf("an embedding: got %d, want 401", got)
	}
}
