package latency

import "time"

// Sample is how long one call took. Zero is a time that is not known.
type Sample struct {
	// Total is the time from the call's start to its end.
	Total time.Duration
	// FirstToken is the time to the first token of the answer.
	FirstToken time.Duration
	// Gap is the longest time between two pieces, or since the last.
	Gap time.Duration
	// Queue is the time from when the work could have run until the call.
	Queue time.Duration
	// Cut says that the call was broken off: by one of its timeouts, or because
	// nobody needed it any more. Then it would have taken longer than Total, and
	// what did not come would have come after it.
	Cut bool
	// InputTokens and OutputTokens are the request's and the answer's.
	InputTokens, OutputTokens int64
}

// quantity is something that is observed of calls.
type quantity int

const (
	total quantity = iota
	firstToken
	queue
	gap
	pace  // seconds for each token behind the first
	input // tokens
	quantities
)

// series is what was observed of the calls to one target.
type series [quantities]sketch

func (s *series) add(c Sample) {
	if c.Queue > 0 {
		s[queue].add(seconds(c.Queue), false)
	}
	if c.Total > 0 {
		s[total].add(seconds(c.Total), c.Cut)
	}
	switch {
	case c.FirstToken > 0:
		s[firstToken].add(seconds(c.FirstToken), false)
	case c.Cut:
		s[firstToken].add(seconds(c.Total), true)
	}
	if c.Gap > 0 {
		s[gap].add(seconds(c.Gap), c.Cut)
	}
	if c.InputTokens > 0 {
		s[input].add(float64(c.InputTokens), false)
	}
	if c.OutputTokens > 1 && c.FirstToken > 0 && c.Total > c.FirstToken && !c.Cut {
		s[pace].add(seconds(c.Total-c.FirstToken)/float64(c.OutputTokens-1), false)
	}
}

func (s *series) merge(other *series) {
	for q := range s {
		s[q].merge(&other[q])
	}
}
