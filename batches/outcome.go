package batches

import (
	"slices"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// Outcome is what becomes of a line. Stores make them.
type Outcome struct {
	N        int
	Was, Now State
	// Code is that of the line from then on.
	Code string
	// Seq is that of the line from then on; 0 for one that is pending again.
	Seq int64
	// Shared says that its job had the answer of an equal request.
	Shared  bool
	Usage   providers.Usage
	CostUSD jobs.USD
	// At is when its job ended.
	At time.Time
}

// Become sets what becomes of a line whose job ended with the status and the code of its
// error; an empty status is that of a job that is gone.
func (o *Outcome) Become(status jobs.Status, code string) {
	switch {
	case status == "":
		o.Now, o.Code = LineFailed, string(jobs.CodeNotFound)
	case o.Was == LineWithdrawn && status == jobs.StatusCancelled:
		o.Now, o.Code = LinePending, ""
	default:
		o.Now, o.Code = State(status), code
	}
}

// Take orders outcomes of b as their jobs ended, gives those lines their Seq that have
// ended, and counts all in b. last is the last Seq that was given; Take returns the last that is then.
func Take(b *Batch, outcomes []Outcome, last int64) int64 {
	slices.SortStableFunc(outcomes, func(x, y Outcome) int { return x.At.Compare(y.At) })
	for i, o := range outcomes {
		if o.Now.Ended() {
			last++
			outcomes[i].Seq = last
		}
		count(b, o)
	}
	return last
}

func count(b *Batch, o Outcome) {
	*countOf(&b.Counts, o.Was)--
	*countOf(&b.Counts, o.Now)++
	if o.Shared && o.Now == LineSucceeded {
		b.Counts.Deduplicated++
	}
	b.CostUSD += o.CostUSD
	if !o.Usage.Known {
		return
	}
	b.Usage.Known = true
	b.Usage.InputTokens += o.Usage.InputTokens
	b.Usage.OutputTokens += o.Usage.OutputTokens
	b.Usage.CachedTokens += o.Usage.CachedTokens
	b.Usage.ReasoningTokens += o.Usage.ReasoningTokens
}

// countOf returns the count that a line of a state is in.
func countOf(c *Counts, s State) *int {
	switch s {
	case LinePending:
		return &c.Pending
	case LineSucceeded:
		return &c.Succeeded
	case LineFailed:
		return &c.Failed
	case LineCancelled:
		return &c.Cancelled
	case LineExpired:
		return &c.Expired
	default: // live, or withdrawn
		return &c.Live
	}
}
