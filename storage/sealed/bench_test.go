package sealed

import (
	"bytes"
	"testing"
)

// BenchmarkEnvelope measures sealing and opening 1.5 KB with a key in hand.
func BenchmarkEnvelope(b *testing.B) {
	k, p, payload := newKey(b), somewhere(b), bytes.Repeat([]byte("x"), 1500)
	b.SetBytes(int64(len(payload)))
	for b.Loop() {
		if _, err := k.open(p, k.seal(p, payload)); err != nil {
			b.Fatal(err)
		}
	}
}
