package latency

import (
	"math"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// Bounds are what adaptive timeouts stay within. A zero field of Max does not
// bound; then there is no timeout of its kind until enough is known.
type Bounds struct{ Min, Max providers.Timeouts }

// Size is how large a request is, in tokens. Zero is not known.
type Size struct {
	Input int64
	// Output is the most that the answer may have.
	Output int64
}

const (
	// enough is how many calls must have been observed before anything follows
	// from them.
	enough = 50
	// margin is how many times the 99th percentile a timeout is; stallMargin, that
	// between two pieces, of which a stream has many and each call tells the longest.
	margin, stallMargin = 2, 1.25
)

// Timeouts returns bounds of a call that hardly any answer under way exceeds,
// given how long others took: twice the 99th percentile, of silences a quarter more than it,
// within bounds.
//
// Percentiles count calls that were broken off as longer than that, except
// those that reached bounds.Max, for no timeout within bounds could have waited
// for them. As long as too many are cut to know the 99th percentile, a timeout
// is no shorter than where they were cut. So it does not shrink because it
// cuts; and see [Explore] for how it grows again.
//
// A request that is larger than nearly all others gets more time to the first
// token, in proportion. The total is enough for the longest answer that the
// request allows.
func Timeouts(observed Summary, bounds Bounds, size Size) providers.Timeouts {
	s := observed.series
	if s == nil {
		return bounds.Max
	}
	first := s[firstToken].timeout(margin, bounds.Max.FirstToken)
	whole := s[total].timeout(margin, bounds.Max.Total)
	if longest, ok := s.longest(first, size); ok && whole > 0 {
		whole = max(whole, longest)
	}
	scale := s.scale(size)
	first = duration(seconds(first) * scale)
	return providers.Timeouts{
		// A connection is no answer: it takes less time than the first token.
		Connect:    within(first, bounds.Min.Connect, bounds.Max.Connect),
		FirstToken: within(first, bounds.Min.FirstToken, bounds.Max.FirstToken),
		Stall:      within(s[gap].timeout(stallMargin, bounds.Max.Stall), bounds.Min.Stall, bounds.Max.Stall),
		Total:      within(duration(seconds(whole)*scale), bounds.Min.Total, bounds.Max.Total),
	}
}

// exploring is of how many calls one explores.
const exploring = 16

// Explore reports whether the n-th call to a target, n being a number that is
// counted or drawn, should run with bounds.Max instead of [Timeouts]: one in 16,
// while so many calls are cut that it is not known how long they would take.
// Otherwise calls that became slow could not be told from calls that hang.
func Explore(observed Summary, bounds Bounds, n uint64) bool {
	s := observed.series
	if s == nil || n%exploring != 0 {
		return false
	}
	return s[firstToken].unsure(bounds.Max.FirstToken) || s[gap].unsure(bounds.Max.Stall)
}

// planned is which part of a budget hedges are to use on average. The late calls
// of a thousand are now more, now fewer: with all of it planned for, the budget
// would be used up half of the time, by calls that are hardly late, when one comes
// that will never answer.
const planned = .6

// HedgeDelay returns after which time a second call may be worth making if at
// most this share of the calls may have one: the time to the first token that
// three in five of so many exceed, with .05 the 97th percentile. It reports false
// while that is not known. First calls that lost against their hedge must have
// been recorded as cut, or it shrinks with each of them.
func HedgeDelay(observed Summary, share float64) (time.Duration, bool) {
	if observed.series == nil || observed.FirstToken.Count < enough {
		return 0, false
	}
	delay, known := observed.series[firstToken].quantile(1-planned*share, math.Inf(1))
	return duration(delay), known
}

// timeout returns a bound that hardly any value exceeds, or limit if that is
// not known.
func (s *sketch) timeout(times float64, limit time.Duration) time.Duration {
	if all, _ := s.count(); all < enough {
		return limit
	}
	ignored := orInfinite(limit)
	p99, known := s.quantile(.99, ignored)
	if known {
		return duration(times * p99)
	}
	if p95, known := s.quantile(.95, ignored); known {
		return duration(max(p99, times*p95))
	}
	return limit
}

// unsure reports whether timeout had to do without the 99th percentile.
func (s *sketch) unsure(limit time.Duration) bool {
	all, cut := s.count()
	if all < enough || cut == 0 {
		return false
	}
	_, known := s.quantile(.99, orInfinite(limit))
	return !known
}

// orInfinite returns limit in seconds; zero is none.
func orInfinite(limit time.Duration) float64 {
	if limit <= 0 {
		return math.Inf(1)
	}
	return seconds(limit)
}

// scale returns how much more time a request of this size may take than others.
func (s *series) scale(size Size) float64 {
	if all, _ := s[input].count(); all < enough || size.Input <= 0 {
		return 1
	}
	usual, _ := s[input].quantile(.95, math.Inf(1))
	return max(1, float64(size.Input)/usual)
}

// longest returns how long the longest answer takes that a request allows.
func (s *series) longest(first time.Duration, size Size) (time.Duration, bool) {
	if all, _ := s[pace].count(); all < enough || size.Output <= 0 || first <= 0 {
		return 0, false
	}
	slow, known := s[pace].quantile(.99, math.Inf(1))
	return first + duration(min(slow*float64(size.Output), largest)), known
}

// within returns d between low and high; a high of zero does not bound, and a d
// of zero is not known.
func within(d, low, high time.Duration) time.Duration {
	if d <= 0 {
		return high
	}
	d = max(d, low)
	if high > 0 {
		d = min(d, high)
	}
	return d
}
