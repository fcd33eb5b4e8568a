package latency_test

import (
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/latency"
)

// BenchmarkRecord measures what a call costs that is taken in.
func BenchmarkRecord(b *testing.B) {
	f := latency.NewFleet(latency.Config{})
	c := usual(0)
	b.ReportAllocs()
	for b.Loop() {
		c.Total += time.Microsecond
		f.Record(target, c)
	}
}

// BenchmarkTimeouts measures what a call's timeouts cost once its target's
// summary is made, which happens once a second.
func BenchmarkTimeouts(b *testing.B) {
	s := observed(10_000, func(i int) latency.Sample {
		c := usual(i)
		c.FirstToken += time.Duration(i) * time.Millisecond
		return c
	}).Summary(target)
	b.ReportAllocs()
	for b.Loop() {
		latency.Timeouts(s, latency.Bounds{Max: providers.Timeouts{Total: time.Hour}}, latency.Size{Input: 100})
	}
}
