package resilience

import (
	"math"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/tokens"
)

// estimates are Penstock's of tokens, and how far they are off.
type estimates struct {
	*tokens.Estimator

	w *world
}

// Learn notes by how much of what it was an answer's length was misjudged.
func (e *estimates) Learn(model string, estimate tokens.Estimate, usage providers.Usage) {
	e.w.mu.Lock()
	e.w.errors = append(e.w.errors, math.Abs(float64(estimate.Output)/float64(max(1, usage.OutputTokens))-1))
	e.w.mu.Unlock()
	e.Estimator.Learn(model, estimate, usage)
}

// misjudged is by what part of its length an answer was misjudged, at the median.
func (w *world) misjudged() float64 {
	return median(w.errors)
}
