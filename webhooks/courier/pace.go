package courier

import (
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// paceSlack is how much earlier than evenly an attempt may begin, so that a wait that
// ends late is made up for at rates of more than one in this time.
const paceSlack = 10 * time.Millisecond

// pacer spaces out the beginnings of attempts evenly, at most so many in any minute:
// the generic cell rate algorithm, with an interval that leaves room for its slack. The
// zero pacer lets all begin at once.
type pacer struct {
	every time.Duration
	// next is when the next one begins if they are even.
	next time.Time
}

// newPacer returns the pacer of a limit; zero: there is none. Nothing begins before
// until, which a pacer said that had the endpoint before, or the clock went back.
func newPacer(perMinute int, until, now time.Time) pacer {
	if perMinute == 0 {
		return pacer{}
	}
	n := time.Duration(perMinute)
	p := pacer{every: (time.Minute + paceSlack + n - 1) / n}
	if wait := until.Add(paceSlack).Sub(now); wait > 0 {
		p.next = now.Add(min(wait, p.every+paceSlack))
	}
	return p
}

// at returns when the next attempt may begin; the zero time: at once.
func (p *pacer) at() time.Time {
	if p.next.IsZero() {
		return time.Time{}
	}
	return p.next.Add(-paceSlack)
}

// began takes note of an attempt that begins now.
func (p *pacer) began(now time.Time) {
	if p.every == 0 {
		return
	}
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(p.every)
}

// How traffic comes back after an opening: one attempt a second, twice as many every
// rampStep, and all of it after rampTime.
const (
	rampTime  = time.Minute
	rampStep  = 5 * time.Second
	rampFirst = time.Second
)

// rampEvery returns how far apart attempts begin while traffic comes back; zero: it is
// back.
func rampEvery(s delivery.State, now time.Time) time.Duration {
	since := now.Sub(s.RampSince)
	if s.RampSince.IsZero() || since >= rampTime || since < -rampTime {
		return 0
	}
	return rampFirst >> (max(0, since) / rampStep)
}
