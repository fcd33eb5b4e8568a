package delivery

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Schedule is when a delivery is attempted: each entry is how long after the attempt
// before it, the first how long after the event.
type Schedule []time.Duration

// DefaultSchedule has twelve attempts over some three days and four hours.
var DefaultSchedule = Schedule{
	0, 5 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute,
	2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
}

// Bounds of a schedule that a tenant gives.
const (
	MaxAttempts = 30
	MaxDelay    = 24 * time.Hour
	MaxSpan     = 14 * 24 * time.Hour // results and events are kept longer
)

// Check says what is wrong with a schedule, in words for whoever wrote it.
func (s Schedule) Check() error {
	switch {
	case len(s) == 0:
		return errors.New("has no attempt")
	case len(s) > MaxAttempts:
		return fmt.Errorf("has %d attempts; at most %d", len(s), MaxAttempts)
	case s.Span() > MaxSpan:
		return fmt.Errorf("lasts %v; at most %v", s.Span(), MaxSpan)
	}
	for i, d := range s {
		if d < 0 || d > MaxDelay {
			return fmt.Errorf("waits %v before attempt %d; want 0 to %v", d, i+1, MaxDelay)
		}
	}
	return nil
}

// Span is how long after the event the last attempt is due, without jitter.
func (s Schedule) Span() (span time.Duration) {
	for _, d := range s {
		span += min(d, MaxDelay+1) // no overflow
	}
	return span
}

// Next returns how long after the nth attempt, counted from 1, the next one is due:
// what the schedule says and up to a fifth more, so that what failed together is not
// attempted together. False: that was the last one.
func (s Schedule) Next(n int) (time.Duration, bool) {
	if n < 0 || n >= len(s) {
		return 0, false
	}
	d := s[n]
	return d + rand.N(d/5+1), true //nolint:gosec // jitter is no secret
}
