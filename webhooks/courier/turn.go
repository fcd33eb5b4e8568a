package courier

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

const (
	// idleTime is how long an endpoint is held that has nothing due: what comes next
	// need not wait for a lease.
	idleTime = 5 * time.Second
	// again is when to look once more whether what is in the way has gone.
	again = 50 * time.Millisecond
	// maxTurnUnrecorded bounds the attempts of one endpoint that wait to be recorded.
	maxTurnUnrecorded = 512
)

// turn is the work on one endpoint while this process holds it. All of it but mail,
// content and began belongs to the goroutine in run.
type turn struct {
	c    *Courier
	id   uuid.UUID
	mail *mailbox
	// content says that the turn knows of nothing more that is due.
	content atomic.Bool
	began   time.Time

	*held
	// lost says that the lease is over, leaving that the turn is to end.
	lost, leaving bool
	// stale is when the endpoint was changed, if the lease was not renewed since: until
	// then there is nothing in the buffer.
	stale time.Time

	fares fares
	pacer pacer
	// started is when the last attempt began.
	started time.Time

	buffered
	writer

	// known are the deliveries that were read: to be sent, on their way, or not recorded
	// yet.
	known                map[uuid.UUID]struct{}
	inFlight, unrecorded int

	// waiter waits for a slot of the queue waits, if that is not empty; granted are those
	// that it got.
	waiter  *waiter
	waits   Queue
	granted []*slot
	// active is when the turn last had something to do.
	active time.Time
}

func newTurn(c *Courier, h *held) *turn {
	now := time.Now()
	t := &turn{
		c: c, id: h.ID, mail: newMailbox(), began: now, active: now, known: make(map[uuid.UUID]struct{}),
	}
	t.hungry, t.batch = true, leastRead
	if h.IncludeResult {
		t.batch = maxTurnBytes / (delivery.MaxResult + itemBytes)
	}
	t.waiter = &waiter{tenant: h.Tenant, granted: func(l *slot) {
		t.mail.post(func(to *letters) { to.granted = append(to.granted, l) })
	}}
	t.hold(h, now)
	return t
}

// run works until there is nothing left to do, or until it is told to end. Attempts are
// made under attempts, and all else under ctx.
func (t *turn) run(ctx, attempts context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-t.mail.poke:
		case <-timer.C:
		}
		now := time.Now()
		quit := t.open(ctx, t.mail.take(), now)
		next, over := t.step(ctx, attempts, now)
		if over || quit {
			t.free()
			if t.c.end(t, t.next(now)) || quit {
				return
			}
		}
		timer.Reset(max(0, time.Until(next)))
	}
}

// open reads what came, and reports whether the turn is to end at once.
func (t *turn) open(ctx context.Context, came letters, now time.Time) (quit bool) {
	t.leaving = t.leaving || came.stop
	if !came.changed.IsZero() {
		t.stale = came.changed
		t.drop()
	}
	if came.lost {
		t.lost = true
	}
	if came.held != nil {
		t.hold(came.held, now)
	}
	for _, e := range came.ended {
		t.ended(e, now)
	}
	for _, r := range came.recorded {
		t.unrecorded--
		t.forget(r.delivery)
		t.dues.add(r.due)
	}
	if came.saved != nil {
		t.written(ctx, *came.saved, now)
	}
	if came.page != nil {
		t.arrived(ctx, *came.page, now)
	}
	t.granted = append(t.granted, came.granted...)
	if len(came.granted) > 0 {
		t.waits = ""
	}
	t.hungry = t.hungry || came.due
	return came.quit
}

// hold takes note of a lease, and of what the endpoint is now.
func (t *turn) hold(h *held, now time.Time) {
	enabledAnew := !h.taken && h.Version != t.Version && h.State == delivery.State{}
	if h.taken || enabledAnew {
		t.fares, t.kept = fares{State: h.State, probing: t.fares.probing}, h.State
		t.pending, t.urgent = delivery.StateChange{}, false
	}
	if t.held == nil || t.PerMinute != h.PerMinute {
		t.pacer = newPacer(h.PerMinute, t.fares.PacedUntil, now)
	}
	t.held = h.after(t.held)
	t.lost = false
	if !t.stale.After(h.seen) {
		t.stale = time.Time{}
	}
	if len(t.keys) == 0 {
		t.disable(delivery.DisabledUnreadable, now)
	}
}

// step does what there is to do, and returns when to look again unless there is mail
// before. It reports whether the turn is over.
func (t *turn) step(ctx, attempts context.Context, now time.Time) (next time.Time, over bool) {
	t.write(ctx, now)
	if t.leaving || t.lost {
		t.content.Store(false)
		t.drop()
		t.free()
		return now.Add(again), t.rests() && (t.lost || !t.unwritten() || !t.lastsFor(0, now))
	}
	next = earliest(t.begin(attempts, now), t.read(ctx, now))
	empty := len(t.buffer) == 0 && !t.hungry
	t.content.Store(empty)
	if !t.rests() || !empty {
		t.active = now
	}
	long := t.fares.ResumeAt().Sub(now) > idleTime
	idle := empty && (now.Sub(t.active) >= idleTime || t.c.crowded.Load())
	if t.rests() && (long || idle) {
		t.leaving = true
		return now, false
	}
	return earliest(next, t.active.Add(idleTime)), false
}

// rests reports whether nothing is under way.
func (t *turn) rests() bool {
	return t.inFlight == 0 && t.unrecorded == 0 && !t.reading && !t.writing
}

// next returns when there is something to do for whoever has the endpoint then: zero if
// that is not known.
func (t *turn) next(now time.Time) time.Time {
	resume := t.fares.ResumeAt()
	if resume.After(now) {
		return resume
	}
	return t.dues.first()
}
