package courier

import (
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// When an endpoint is slow, when it is warned, and when it is disabled.
const (
	slowAbove = time.Second
	slowBelow = 500 * time.Millisecond
	// smoothing is what share of a new latency counts: one in so many.
	smoothing = 5

	disableAfter    = 5 * 24 * time.Hour
	disableFailures = 20
)

// warnAfter is how long an endpoint fails until it is warned: once for each.
var warnAfter = [...]time.Duration{24 * time.Hour, 72 * time.Hour}

// fares is how an endpoint fares, as its turn knows it.
type fares struct {
	delivery.State

	recent outcomes
	// probing says that a probe is under way, and probed counts those since the breaker
	// let the first of them pass.
	probing bool
	probed  int
}

// ended is an attempt that has ended.
type ended struct {
	*item
	delivery.Attempt

	queue Queue
	began time.Time
	// probe says that it was made to find out whether the breaker may close.
	probe bool
	// timeout is what it was bounded by.
	timeout time.Duration
	// others says that other deliveries are due as well.
	others bool
}

// change is what an attempt has changed for its endpoint, and is told to others.
type change struct {
	opened, closed bool
	// warned and disabled are told to the tenant.
	warned   bool
	disabled delivery.Reason
	// urgent says that whoever has the endpoint next must know.
	urgent bool
}

// open reports whether the breaker is open, or lets probes pass.
func (f *fares) open() bool { return !f.OpenUntil.IsZero() }

// after takes note of an attempt. What it says of the delivery is for [recordOf].
func (f *fares) after(e ended, now time.Time) change {
	slow := f.Slow
	f.measure(e)
	if e.probe {
		f.probing = false
	}
	var c change
	switch e.Verdict {
	case delivery.Delivered:
		c = f.succeeded(e, now)
	case delivery.Gone:
		c = change{disabled: delivery.DisabledGone, urgent: true}
	case delivery.Paused:
		f.fail(now)
		f.PausedUntil, f.probed = now.Add(e.RetryAfter), 0
		c = f.judge(now)
		c.urgent = true
	case delivery.Failed:
		c = f.failed(e, now)
	case delivery.TooLarge, delivery.Broken: // say nothing of the endpoint
		f.probed = 0
	}
	c.urgent = c.urgent || slow != f.Slow
	return c
}

// measure smooths the latency. What failed at once tells nothing of it.
func (f *fares) measure(e ended) {
	took := e.Latency
	switch {
	case e.Failure == delivery.FailureTimeout:
		took = max(took, e.timeout)
		f.Slow = true
	case e.Status == 0:
		return
	}
	if f.Latency == 0 {
		f.Latency = took
	}
	f.Latency += (took - f.Latency) / smoothing
	if f.Latency > slowAbove {
		f.Slow = true
	}
	if f.Latency < slowBelow {
		f.Slow = false
	}
}

func (f *fares) succeeded(e ended, now time.Time) (c change) {
	f.LastSuccess, f.Failures, f.FailingSince, f.Warned, f.Openings = now, 0, time.Time{}, 0, 0
	switch {
	case e.probe && f.open():
		f.OpenUntil, f.RampSince, f.recent = time.Time{}, now, outcomes{}
		c.closed, c.urgent = true, true
	case !f.open():
		f.recent.add(e.ID, false)
	}
	f.rampOver(now)
	return c
}

// rampOver ends the time in which traffic comes back.
func (f *fares) rampOver(now time.Time) {
	if !f.RampSince.IsZero() && rampEvery(f.State, now) == 0 {
		f.RampSince = time.Time{}
	}
}

func (f *fares) failed(e ended, now time.Time) change {
	wasOpen := f.open()
	f.fail(now)
	switch {
	case e.probe && f.probed == 1 && e.Status != 0 && e.others:
		// It answers. Another delivery is tried before all have to wait for this one.
	case e.probe:
		f.reopen(now)
	case !wasOpen:
		f.rampOver(now)
		f.recent.add(e.ID, true)
		if f.recent.trips(f.State, e.n) {
			f.reopen(now)
		}
	}
	c := f.judge(now)
	c.opened = !wasOpen && f.open()
	c.urgent = c.urgent || c.opened || e.probe
	return c
}

func (f *fares) fail(now time.Time) {
	if f.Failures++; f.FailingSince.IsZero() {
		f.FailingSince = now
	}
}

// admits reports whether an attempt may begin as far as the breaker goes, and whether it
// is a probe: one at a time, once the breaker lets pass.
func (f *fares) admits(now time.Time) (ok, probe bool) {
	if !f.open() {
		return true, false
	}
	return !f.probing && !now.Before(f.OpenUntil), true
}

// reopen opens the breaker, for longer each time.
func (f *fares) reopen(now time.Time) {
	f.OpenUntil = now.Add(openFor(f.Openings))
	f.Openings++
	f.RampSince, f.recent, f.probed = time.Time{}, outcomes{}, 0
}

// judge says what follows from how long the endpoint has failed.
func (f *fares) judge(now time.Time) (c change) {
	failing := now.Sub(f.FailingSince)
	if failing >= disableAfter && f.Failures >= disableFailures {
		return change{disabled: delivery.DisabledFailing, urgent: true}
	}
	due := 0
	for _, after := range warnAfter {
		if failing >= after {
			due++
		}
	}
	if due > f.Warned {
		f.Warned = due
		return change{warned: true, urgent: true}
	}
	return change{}
}

// worthKeeping reports whether what has changed since a state was kept is worth a write
// when the endpoint is given up.
func worthKeeping(kept, now delivery.State) bool {
	seen := now.LastSuccess.Sub(kept.LastSuccess)
	kept.LastSuccess, now.LastSuccess = time.Time{}, time.Time{}
	kept.Latency, now.Latency = 0, 0
	return seen >= time.Minute || kept != now
}
