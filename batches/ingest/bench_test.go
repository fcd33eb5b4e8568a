package ingest_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/batches/ingest"
)

// BenchmarkIngest: 10,000 lines of 1 KB.
func BenchmarkIngest(b *testing.B) {
	const n = 10_000
	var input strings.Builder
	for i := range n {
		input.WriteString(line(fmt.Sprint("request-", i), `"content":"`, `"content":"`+strings.Repeat(`A word or two, and a line.\n`, 29)) + "\n")
	}
	request := check()
	b.SetBytes(int64(input.Len()))
	for b.Loop() {
		i := ingest.New(ingest.Config{Batch: batch(), Input: strings.NewReader(input.String()), Check: request})
		for {
			if _, err := i.Next(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
		}
		if problems, count := i.Problems(); count > 0 {
			b.Fatal(problems)
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "lines/s")
}
