package resilience

import (
	"fmt"
	"slices"
	"time"
)

// counts returns how many there are of which something holds.
func count[T any](list []T, holds func(T) bool) int {
	n := 0
	for _, item := range list {
		if holds(item) {
			n++
		}
	}
	return n
}

// answered are the jobs that succeeded, of those with the given model.
func (w *world) answered(model string) []time.Duration {
	var took []time.Duration
	for _, j := range w.jobs {
		if j.ok && j.model == model {
			took = append(took, j.took())
		}
	}
	return took
}

// quantile returns the value below which so many of the values are; zero if there
// are none.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// median is zero of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(values))[len(values)/2]
}

// percent writes a part of a whole.
func percent(part, whole int) string {
	return fmt.Sprintf("%.3g %%", 100*ratio(part, whole))
}

// ratio is zero of nothing.
func ratio(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

// grouped writes a number with its thousands apart.
func grouped(n int) string {
	digits := fmt.Sprint(n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
