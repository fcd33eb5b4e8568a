package courier

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// staleAfter is how old what was read may be when it is sent: what was deleted since is
// not.
const staleAfter = 10 * time.Second

// begin begins as many attempts as may be under way, and returns when the next one may
// begin if that is a matter of time.
func (t *turn) begin(attempts context.Context, now time.Time) (next time.Time) {
	if len(t.buffer) > 0 && now.Sub(t.buffer[0].read) > staleAfter {
		t.drop()
	}
	for len(t.buffer) > 0 && t.inFlight < concurrency(t.Endpoint) {
		if next = t.notBefore(now); next.After(now) {
			break
		}
		ok, probe := t.fares.admits(now)
		if !ok {
			break
		}
		i := t.pick(probe)
		slot := t.slot(t.queueOf(t.buffer[i]))
		if slot == nil {
			return time.Time{}
		}
		t.attempt(attempts, t.remove(i), slot, probe, now)
	}
	t.free()
	if !next.After(now) { // it is a matter of something else
		return time.Time{}
	}
	return next
}

// notBefore returns when the next attempt may begin, which may be past.
func (t *turn) notBefore(now time.Time) time.Time {
	switch {
	case !t.lastsFor(timeout(t.Endpoint), now), t.c.unreached.Load(), t.unrecorded >= maxTurnUnrecorded, t.c.records.full():
		return now.Add(again)
	case t.fares.PausedUntil.After(now):
		return t.fares.PausedUntil
	case t.fares.OpenUntil.After(now):
		return t.fares.OpenUntil
	}
	at := t.pacer.at()
	if every := rampEvery(t.fares.State, now); every > 0 && t.started.Add(every).After(at) {
		at = t.started.Add(every)
	}
	return at
}

// pick returns which of the buffer is next: the one that has been due for the longest,
// but at random when that has just failed as a probe.
func (t *turn) pick(probe bool) int {
	if probe && t.fares.probed > 0 {
		return rand.IntN(len(t.buffer)) //nolint:gosec // any will do
	}
	return 0
}

func (t *turn) queueOf(it *item) Queue {
	switch {
	case it.Trigger.Bulk():
		return Bulk
	case t.fares.Slow:
		return Slow
	default:
		return Live
	}
}

// slot returns a slot of the queue, or nil and waits for one.
func (t *turn) slot(q Queue) *slot {
	for i, l := range t.granted {
		if l.queue == q {
			t.granted = append(t.granted[:i], t.granted[i+1:]...)
			return l
		}
	}
	if t.waits == q {
		return nil
	}
	t.free()
	l := t.c.slots.take(q, t.waiter)
	if l == nil {
		t.waits = q
	}
	return l
}

// free gives back the slots that were granted and are not needed, and waits for none.
func (t *turn) free() {
	if t.waits != "" {
		t.c.slots.leave(t.waits, t.waiter)
		t.waits = ""
	}
	for _, l := range t.granted {
		l.give()
	}
	t.granted = nil
}

// attempt begins one.
func (t *turn) attempt(ctx context.Context, it *item, l *slot, probe bool, now time.Time) {
	t.inFlight++
	t.started = now
	if probe {
		t.fares.probing = true
		t.fares.probed++
	}
	if t.pacer.began(now); t.pacer.every > 0 {
		t.fares.PacedUntil = t.pacer.at()
		t.urgent = t.urgent || t.pacer.every >= time.Second
	}
	m := t.Message(it.ID.String(), it.send)
	m.Keys = t.keys
	if it.URL != "" {
		m.URL = it.URL
	}
	e := ended{item: it, began: now, probe: probe, timeout: m.Timeout}
	t.c.background.Go(func() { t.send(ctx, m, e, l) })
}

// send makes the attempt, and tells the turn of it.
func (t *turn) send(ctx context.Context, m delivery.Message, e ended, l *slot) {
	long := time.AfterFunc(slowAbove, l.slow)
	e.Attempt = t.c.cfg.Sender.Send(ctx, m)
	long.Stop()
	e.queue = l.give()
	t.mail.post(func(to *letters) { to.ended = append(to.ended, e) })
}
