package latency

import (
	"math"
	"time"
)

// Target is where calls go: a model of a provider, in the pool that its
// provider meters together.
type Target struct{ Pool, Name string }

// Summary tells how long the calls of the whole fleet to one target took
// lately. It does not change. The zero value tells of no calls.
type Summary struct {
	Target
	// Total, FirstToken and Queue are as in [Sample].
	Total, FirstToken, Queue Distribution
	series                   *series
}

// Distribution tells how long something took.
type Distribution struct {
	// Count is of how many calls it tells; Cut, how many of them were broken off.
	Count, Cut    int64
	P50, P95, P99 Quantile
}

// Quantile is what a part of the calls did not exceed.
type Quantile struct {
	// Value is right to 1 %. It is zero when nothing is known.
	Value time.Duration
	// AtLeast says that too many calls were broken off to know: it is Value or
	// more.
	AtLeast bool
}

func summaryOf(t Target, s *series) Summary {
	return Summary{
		Target: t, series: s,
		Total: s[total].distribution(), FirstToken: s[firstToken].distribution(), Queue: s[queue].distribution(),
	}
}

func (s *sketch) distribution() (d Distribution) {
	if d.Count, d.Cut = s.count(); d.Count == 0 {
		return d
	}
	for q, into := range map[float64]*Quantile{.5: &d.P50, .95: &d.P95, .99: &d.P99} {
		value, known := s.quantile(q, math.Inf(1))
		*into = Quantile{Value: duration(value), AtLeast: !known}
	}
	return d
}
