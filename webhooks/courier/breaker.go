package courier

import (
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// When an endpoint's breaker opens, and for how long. One event that the endpoint cannot
// take opens it never: the failures are of two deliveries at least.
const (
	tripAfter    = 5  // failed attempts in a row
	tripWindow   = 20 // attempts, of which half have failed
	tripRamping  = 3  // failed attempts in a row while traffic comes back
	firstOpening = 30 * time.Second
	longOpening  = 15 * time.Minute
)

// openFor returns how long the breaker stays open after so many openings in a row: from
// 30 s doubling to 15 min, and up to a fifth more.
func openFor(openings int) time.Duration {
	d := longOpening
	if openings < 5 {
		d = min(d, firstOpening<<max(0, openings))
	}
	return d + rand.N(d/5) //nolint:gosec // jitter is no secret
}

// outcomes are those of the last attempts to an endpoint while its breaker was closed.
type outcomes struct {
	last [tripWindow]outcome
	n    int
}

type outcome struct {
	delivery uuid.UUID
	failed   bool
}

func (o *outcomes) add(delivery uuid.UUID, failed bool) {
	o.last[o.n%tripWindow] = outcome{delivery, failed}
	o.n++
}

// mostlyFailed reports whether half of the last attempts failed, of two deliveries at
// least, with no fewer attempts than the window has.
func (o *outcomes) mostlyFailed() bool {
	if o.n < tripWindow {
		return false
	}
	failed, of := 0, make(map[uuid.UUID]struct{}, tripWindow)
	for _, a := range o.last {
		if a.failed {
			failed++
			of[a.delivery] = struct{}{}
		}
	}
	return 2*failed >= tripWindow && len(of) > 1
}

// inARow returns how many of the last attempts failed without a success between them, as
// far as is remembered, and of how many deliveries they were.
func (o *outcomes) inARow() (attempts, deliveries int) {
	of := make(map[uuid.UUID]struct{}, tripAfter)
	for i := o.n - 1; i >= max(0, o.n-tripWindow) && o.last[i%tripWindow].failed; i-- {
		attempts++
		of[o.last[i%tripWindow].delivery] = struct{}{}
	}
	return attempts, len(of)
}

// trips reports whether the failure that was added last opens the breaker. n counts the
// attempts of its delivery so far: when more have failed in a row than those, some were
// of another, though nobody may remember it.
func (o *outcomes) trips(s delivery.State, n int) bool {
	attempts, deliveries := o.inARow()
	several := deliveries > 1 || s.Failures > n
	if !s.RampSince.IsZero() && attempts >= tripRamping && several {
		return true
	}
	return s.Failures >= tripAfter && several || o.mostlyFailed()
}
