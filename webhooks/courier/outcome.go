package courier

import (
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// patience is how many attempts of a delivery may use up no step of its schedule before
// those do that ask for a pause: an endpoint that always asks for one when it sees a
// certain event would never see the end of it.
const patience = 100

// settle turns what cannot be repeated any better into a failure: a body that is too
// large and has nothing to leave out, a pause that never ends.
func settle(e ended) ended {
	switch {
	case e.Verdict == delivery.TooLarge && (e.Thin || !e.canThin()),
		e.Verdict == delivery.Paused && e.n-e.Step > patience:
		e.Verdict = delivery.Failed
	}
	return e
}

// recordOf returns what is recorded of an attempt. A failure is free, and leaves the
// delivery where it was, if the breaker was open.
func recordOf(e ended, schedule delivery.Schedule, free bool, now time.Time) delivery.Record {
	r := delivery.Record{
		Attempt: e.Attempt, Delivery: e.ID, Endpoint: e.Endpoint, Tenant: e.Tenant, N: e.n, Trigger: e.Trigger, At: stamp(e.began),
		Status: delivery.StatusPending, Step: e.Step, DueAt: e.DueAt, Thin: e.Thin,
	}
	switch {
	case e.Verdict == delivery.Delivered:
		r.Status = delivery.StatusDelivered
	case e.Verdict == delivery.TooLarge:
		r.Thin = true
	case e.Verdict == delivery.Paused:
		r.DueAt = stamp(now.Add(e.RetryAfter))
	case e.Verdict == delivery.Failed && !free:
		r.Step++
		r.Status, r.DueAt = next(schedule, r.Step, now)
	}
	return r
}

// next returns where a delivery stands that has used up so many steps, and when it is due.
func next(schedule delivery.Schedule, step int, now time.Time) (delivery.Status, time.Time) {
	if len(schedule) == 0 {
		schedule = delivery.DefaultSchedule
	}
	wait, ok := schedule.Next(step)
	if !ok {
		return delivery.StatusFailed, time.Time{}
	}
	return delivery.StatusPending, stamp(now.Add(wait))
}

// stamp is a time as stores keep it.
func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
