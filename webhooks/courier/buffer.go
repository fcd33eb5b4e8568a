package courier

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

const (
	// bulkRead is how often a turn with nothing but replays looks for something else.
	bulkRead = time.Second
	// idleRead is how soon a turn looks again that found nothing new; it doubles.
	idleRead, idleReadMost = 10 * time.Millisecond, 250 * time.Millisecond
	// failedRead is how soon a turn looks again that could not.
	failedRead = 500 * time.Millisecond
	// probeRead is how much is read while the breaker lets nothing but probes pass.
	probeRead = 4
)

// buffered is what a turn has read of its endpoint.
type buffered struct {
	// buffer is to be sent, in this order.
	buffer []*item
	// hungry says that there may be more to read, reading that that is under way.
	hungry, reading bool
	// batch is how much is read at a time, and largest the largest cost so far.
	batch   int
	largest int64
	// readAt is when the last look was, readAfter when the next may be, and fruitless
	// counts the last ones that found nothing new.
	readAt, readAfter time.Time
	fruitless         int
	// generation counts how often the buffer was dropped.
	generation int
	// forgotten are those that were recorded since the look began: what it has of them
	// is old.
	forgotten map[uuid.UUID]struct{}
	// dues are when what has failed is due again.
	dues times
}

// read looks for what is due if there may be something and there is room for it. It
// returns when to try again if that is a matter of time.
func (t *turn) read(ctx context.Context, now time.Time) time.Time {
	if t.dues.pass(now) {
		t.hungry = true
	}
	target := t.target(now)
	ready := t.hungry && len(t.buffer) <= target/4 || t.onlyBulk(now)
	switch {
	case t.reading, !t.stale.IsZero(), !ready:
		return t.dues.first()
	case t.readAfter.After(now):
		return t.readAfter
	case t.fares.PausedUntil.After(now), t.fares.OpenUntil.After(now):
		return t.fares.ResumeAt()
	}
	if !t.lastsFor(0, now) || t.c.unreached.Load() {
		return now.Add(again)
	}
	limit, cost, ok := t.afford(max(1, target-len(t.buffer)))
	if !ok {
		return now.Add(again)
	}
	t.reading, t.hungry, t.readAt, t.forgotten = true, false, now, make(map[uuid.UUID]struct{})
	t.content.Store(true) // what comes from now on may not be in what is read
	generation, endpoint := t.generation, t.Endpoint
	t.c.background.Go(func() {
		p := t.c.reader.read(ctx, endpoint, limit)
		p.cost, p.of = cost, generation
		t.mail.post(func(to *letters) { to.page = &p })
	})
	return time.Time{}
}

// afford sets memory aside for up to so many that are new, or for fewer if it is short,
// and returns how many to read to find as many.
func (t *turn) afford(fresh int) (limit int, cost int64, ok bool) {
	for ; fresh > 0; fresh /= 2 {
		limit = fresh + len(t.known)
		cost = min(int64(limit)*max(4*itemBytes, t.largest), maxTurnBytes)
		if t.c.memory.take(t.Tenant, cost) {
			return limit, cost, true
		}
	}
	return 0, 0, false
}

// onlyBulk reports whether it is time to look for something that goes before replays.
func (t *turn) onlyBulk(now time.Time) bool {
	return len(t.buffer) > 0 && t.buffer[0].Trigger.Bulk() && now.Sub(t.readAt) >= bulkRead
}

// target is how many are worth having in the buffer: as many as can be sent soon.
func (t *turn) target(now time.Time) int {
	if t.fares.open() {
		return probeRead
	}
	n := t.batch
	for _, every := range []time.Duration{t.pacer.every, rampEvery(t.fares.State, now)} {
		if every > 0 {
			n = min(n, 2+int(2*time.Second/every))
		}
	}
	return n
}

// arrived takes what was read.
func (t *turn) arrived(ctx context.Context, p page, now time.Time) {
	forgotten := t.forgotten
	t.reading, t.forgotten = false, nil
	t.c.memory.give(t.Tenant, p.cost)
	switch {
	case p.err != nil:
		t.c.report(ctx, p.err)
		t.hungry, t.readAfter = true, now.Add(failedRead)
		return
	case p.of != t.generation:
		t.hungry = true
		return
	}
	fresh := 0
	isNew := func(id uuid.UUID) bool {
		_, known := t.known[id]
		_, old := forgotten[id]
		if known || old {
			return false
		}
		fresh++
		t.known[id] = struct{}{}
		return true
	}
	var taken int64
	for _, it := range p.items {
		t.largest = max(t.largest, it.cost())
		if taken > 0 && taken+it.cost() > p.cost { // it is larger than what was read before
			p.full = true
			break
		}
		if isNew(it.ID) {
			it.read = now
			taken += it.cost()
			t.buffer = append(t.buffer, it)
		}
	}
	t.c.memory.give(t.Tenant, -taken)
	for _, d := range p.unsendable {
		if isNew(d.ID) {
			t.unsendable(d, now)
		}
	}
	slices.SortStableFunc(t.buffer, inOrder)
	t.tune(p.full, fresh, now)
}

// tune decides how much the next look reads, and when it is.
func (t *turn) tune(full bool, fresh int, now time.Time) {
	t.hungry = t.hungry || full
	if full {
		t.batch *= 2
	}
	t.batch = max(1, min(t.batch, mostRead, int(maxTurnBytes/max(itemBytes, t.largest))))
	if fresh > 0 {
		t.fruitless = 0
		return
	}
	t.readAfter = now.Add(min(idleRead<<min(t.fruitless, 8), idleReadMost))
	t.fruitless++
}

// inOrder is the order in which deliveries are sent.
func inOrder(a, b *item) int {
	if x, y := a.Trigger.Bulk(), b.Trigger.Bulk(); x != y {
		if x {
			return 1
		}
		return -1
	}
	return cmp.Or(a.DueAt.Compare(b.DueAt), bytes.Compare(a.ID[:], b.ID[:]))
}

// remove takes one out of the buffer.
func (t *turn) remove(i int) *item {
	it := t.buffer[i]
	if i == 0 {
		t.buffer[0] = nil
		t.buffer = t.buffer[1:]
		return it
	}
	t.buffer = slices.Delete(t.buffer, i, i+1)
	return it
}

// drop forgets what was read and not sent, and what is being read.
func (t *turn) drop() {
	for _, it := range t.buffer {
		t.c.memory.give(t.Tenant, it.cost())
		delete(t.known, it.ID)
	}
	t.buffer, t.hungry = nil, true
	t.generation++
}

// forget takes note that a delivery is as the store says.
func (t *turn) forget(id uuid.UUID) {
	delete(t.known, id)
	if t.forgotten != nil {
		t.forgotten[id] = struct{}{}
	}
}

// unsendable records a delivery that has no body: it uses up a step, or all if its body
// was there and opens for nobody.
func (t *turn) unsendable(d delivery.Due, now time.Time) {
	e := ended{item: &item{Due: d, n: d.Attempts + 1}, queue: Live, began: now}
	e.Verdict, e.Failure = delivery.Failed, delivery.FailureRequest
	r := recordOf(e, t.Schedule, false, now)
	if d.Lost {
		r.Status, r.DueAt = delivery.StatusFailed, time.Time{}
	}
	t.record(e, r)
}
