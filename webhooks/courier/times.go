package courier

import (
	"slices"
	"time"
)

// rememberedTimes bounds what is remembered of when something is due.
const rememberedTimes = 64

// times are when something is due, the earliest first: the first of them, if there are
// many.
type times []time.Time

// add adds a time; zero: none.
func (s *times) add(at time.Time) {
	if at.IsZero() {
		return
	}
	i, found := slices.BinarySearchFunc(*s, at, time.Time.Compare)
	if found || i == rememberedTimes {
		return
	}
	*s = slices.Insert(*s, i, at)
	*s = (*s)[:min(len(*s), rememberedTimes)]
}

// pass removes those that have come, and reports whether there were any.
func (s *times) pass(now time.Time) bool {
	i, found := slices.BinarySearchFunc(*s, now, time.Time.Compare)
	if found {
		i++
	}
	*s = slices.Delete(*s, 0, i)
	return i > 0
}

// first returns the earliest; zero: there is none.
func (s *times) first() time.Time { return earliest(*s...) }

// earliest returns the earliest of those times that are not zero.
func earliest(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if first.IsZero() || !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}
