package simulated

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// limiter is a token bucket of calls per minute and a count of calls under way.
type limiter struct {
	rpm        int
	concurrent int

	mu      sync.Mutex
	left    float64
	filled  time.Time
	running int
}

func newLimiter(f Faults) *limiter {
	return &limiter{rpm: f.RPM, concurrent: f.Concurrent, left: float64(f.RPM), filled: time.Now()}
}

// same says whether f keeps the limits as they are.
func (l *limiter) same(f Faults) bool { return l.rpm == f.RPM && l.concurrent == f.Concurrent }

// admit takes a place, to be given back by leave, or says how long to wait for
// one. It says in the answer's headers how much is left.
func (l *limiter) admit(now time.Time, header http.Header, words *dialect) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.concurrent > 0 && l.running >= l.concurrent {
		return time.Second, false
	}
	if l.rpm > 0 {
		l.fill(now)
		ok = l.left >= 1
		if ok {
			l.left--
		}
		words.limits(header, l.rpm, int(l.left), now, l.timeFor(float64(l.rpm)-l.left))
		if !ok {
			return l.timeFor(1 - l.left), false
		}
	}
	l.running++
	return 0, true
}

func (l *limiter) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running--
}

func (l *limiter) fill(now time.Time) {
	if elapsed := now.Sub(l.filled); elapsed > 0 {
		l.left = min(float64(l.rpm), l.left+elapsed.Minutes()*float64(l.rpm))
		l.filled = now
	}
}

// timeFor is how long calls take to come back.
func (l *limiter) timeFor(calls float64) time.Duration {
	return time.Duration(math.Ceil(calls / float64(l.rpm) * float64(time.Minute)))
}

// setWait rounds up: who waits as told is let in.
func setWait(header http.Header, wait time.Duration) {
	header.Set("Retry-After-Ms", strconv.FormatInt(roundUp(wait, time.Millisecond).Milliseconds(), 10))
	header.Set("Retry-After", strconv.FormatInt(int64(roundUp(wait, time.Second)/time.Second), 10))
}

func roundUp(d, to time.Duration) time.Duration { return (d + to - 1).Truncate(to) }
