package keeper

import (
	"math"
	"time"
)

const (
	// rateOver is over how long lines that end are averaged: what is older counts less.
	rateOver = 30 * time.Second
	// tellEvery is how often the rate is kept of a batch none of whose lines end.
	tellEvery = 10 * time.Second
)

// rate is how many lines end a second, smoothed.
type rate struct {
	// lines ended in so many seconds; both lose weight as they get older.
	lines, seconds float64
	at, toldAt     time.Time
	// told is what the store is told.
	told float64
}

// newRate goes on from what was told before.
func newRate(told float64, now time.Time) rate {
	r := rate{lines: told, at: now, toldAt: now, told: told}
	if told > 0 {
		r.seconds = 1
	}
	return r
}

// add counts lines that ended since it was called last. Time in which there was nothing
// to end does not count.
func (r *rate) add(n int, active bool, now time.Time) {
	passed := now.Sub(r.at).Seconds()
	if r.at = now; !active {
		return
	}
	left := math.Exp(-passed / rateOver.Seconds())
	r.lines, r.seconds = r.lines*left+float64(n), r.seconds*left+passed
	if n > 0 || now.Sub(r.toldAt) >= tellEvery {
		r.told, r.toldAt = math.Round(1000*r.lines/math.Max(r.seconds, leastRest.Seconds()))/1000, now
	}
}
