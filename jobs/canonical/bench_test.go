package canonical_test

import (
	"strings"
	"testing"

	"github.com/gowebpki/jcs"

	"github.com/penstock-dev/penstock/jobs/canonical"
)

// BenchmarkJSON: a request of 1 KB, beside the same by a canonicalizer that refuses
// less.
func BenchmarkJSON(b *testing.B) {
	doc := []byte(`{"model":"default","messages":[{"role":"user","content":"` + strings.Repeat(`A word or two.\n`, 60) +
		`"}],"temperature":0.7,"max_tokens":256}`)
	b.Run("penstock", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			if _, err := canonical.JSON(doc); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("jcs", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		for b.Loop() {
			if _, err := jcs.Transform(doc); err != nil {
				b.Fatal(err)
			}
		}
	})
}
