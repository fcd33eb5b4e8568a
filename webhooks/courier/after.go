package courier

import (
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// ended takes note of an attempt that has ended.
func (t *turn) ended(e ended, now time.Time) {
	t.inFlight--
	t.c.memory.give(t.Tenant, e.cost())
	e.others = len(t.buffer) > 0
	e = settle(e)
	free := t.fares.open()
	c := t.fares.after(e, now)
	t.follow(c, now)
	if e.Verdict == delivery.Broken { // nobody knows; it is due still
		t.forget(e.ID)
		t.hungry = true
		return
	}
	t.record(e, recordOf(e, t.Schedule, free, now))
}

// record gives an attempt to be recorded, and tells of it.
func (t *turn) record(e ended, r delivery.Record) {
	t.unrecorded++
	a := Attempted{
		Delivery: e.ID, Endpoint: t.id, Tenant: e.Tenant, Type: e.Type, N: e.n, Trigger: e.Trigger, Queue: e.queue,
		Verdict: e.Verdict, Failure: e.Failure, Status: e.Status, Latency: e.Latency,
		Lag: max(0, e.began.Sub(e.DueAt)), Left: r.Status,
	}
	if r.Status == delivery.StatusPending {
		a.Next = r.DueAt
	}
	t.c.cfg.Observer.attempted(a)
	t.c.records.add(unrecorded{r, t})
}

// follow does what follows from what an attempt has changed.
func (t *turn) follow(c change, now time.Time) {
	t.urgent = t.urgent || c.urgent
	if c.opened {
		t.pending.Opened = true
		t.c.cfg.Observer.opened(t.Endpoint, t.fares.OpenUntil)
	}
	if c.closed {
		t.c.cfg.Observer.closed(t.Endpoint)
	}
	if c.warned {
		t.pending.Events = append(t.pending.Events, failingEvent(t.Endpoint, t.fares.State, now))
		t.c.cfg.Observer.failing(t.Endpoint, t.fares.FailingSince)
	}
	if c.disabled != "" {
		t.disable(c.disabled, now)
	}
	if t.fares.ResumeAt().After(now) && (c.opened || t.fares.PausedUntil.After(now)) {
		t.drop()
	}
}

// disable disables the endpoint, and tells of it: once.
func (t *turn) disable(why delivery.Reason, now time.Time) {
	if t.disabling {
		return
	}
	t.disabling, t.leaving, t.urgent = true, true, true
	t.pending.Disable = why
	t.pending.Events = append(t.pending.Events, disabledEvent(t.Endpoint, t.fares.State, why, now))
	t.c.cfg.Observer.disabled(t.Endpoint, why)
}
