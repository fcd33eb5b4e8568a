package courier

import (
	"sync"
)

// Queue is a class of attempts with slots of its own.
type Queue string

// The queues.
const (
	// Live is for all that is of no other queue.
	Live Queue = "live"
	// Slow is for endpoints that take long: they cannot hold up the others.
	Slow Queue = "slow"
	// Bulk is for replays.
	Bulk Queue = "bulk"
)

// Queues says how many attempts of each queue this process may have under way at once.
// A tenant has at most half of a queue's, and less when others have some. Zero fields get
// their defaults.
type Queues struct {
	Live int // default 256
	Slow int // default 128
	Bulk int // default 64
}

func (q Queues) filled() Queues {
	for _, f := range []struct {
		n     *int
		usual int
	}{{&q.Live, 256}, {&q.Slow, 128}, {&q.Bulk, 64}} {
		if *f.n == 0 {
			*f.n = f.usual
		}
	}
	return q
}

// slots are those of all queues.
type slots struct {
	mu     sync.Mutex
	queues map[Queue]*queue
}

// queue is one queue's slots. While one is free nobody waits who may have it.
type queue struct {
	size, taken int
	tenants     map[string]int
	waiting     []*waiter
}

// waiter is an endpoint that waits for one slot. It waits in one queue at a time.
type waiter struct {
	tenant string
	// granted is called with the slot that was waited for. It must not call slots.
	granted func(*slot)
}

// slot is the right to have an attempt under way.
type slot struct {
	of     *slots
	tenant string
	queue  Queue
	given  bool
}

func newSlots(sizes Queues) *slots {
	s := &slots{queues: make(map[Queue]*queue, 3)}
	for name, size := range map[Queue]int{Live: sizes.Live, Slow: sizes.Slow, Bulk: sizes.Bulk} {
		s.queues[name] = &queue{size: size, tenants: make(map[string]int)}
	}
	return s
}

// has reports whether there is a slot for the tenant: for one that has some, if more are
// free than it has. So one tenant never has more than half, two have a third each and so
// on, and there is one left for whoever comes next.
func (q *queue) has(tenant string) bool {
	free, has := q.size-q.taken, q.tenants[tenant]
	return free > 0 && (has == 0 || has < free)
}

func (q *queue) take(tenant string) {
	q.taken++
	q.tenants[tenant]++
}

func (q *queue) give(tenant string) {
	q.taken--
	if q.tenants[tenant]--; q.tenants[tenant] == 0 {
		delete(q.tenants, tenant)
	}
}

// take returns a slot, or nil and lets w wait for one: who waited longest gets the next.
func (s *slots) take(name Queue, w *waiter) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[name]
	if q.has(w.tenant) {
		q.take(w.tenant)
		return &slot{of: s, tenant: w.tenant, queue: name}
	}
	q.waiting = append(q.waiting, w)
	return nil
}

// leave lets w wait no more. What was granted already is its own to give back.
func (s *slots) leave(name Queue, w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.queues[name]
	for i, other := range q.waiting {
		if other == w {
			q.waiting = append(q.waiting[:i], q.waiting[i+1:]...)
			return
		}
	}
}

// give gives the slot back, to whoever waited longest and may have it, and returns the
// queue that it was of in the end.
func (l *slot) give() Queue {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	l.given = true
	l.of.queues[l.queue].give(l.tenant)
	l.of.pass(l.queue)
	return l.queue
}

// slow makes the slot one of the slow queue, if that has one left: an attempt that takes
// long does not keep a live slot from others meanwhile.
func (l *slot) slow() {
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.given || l.queue != Live || !l.of.queues[Slow].has(l.tenant) {
		return
	}
	l.of.queues[Slow].take(l.tenant)
	l.of.queues[Live].give(l.tenant)
	l.queue = Slow
	l.of.pass(Live)
}

// pass grants what is free.
func (s *slots) pass(name Queue) {
	q := s.queues[name]
	kept := q.waiting[:0]
	for _, w := range q.waiting {
		if !q.has(w.tenant) {
			kept = append(kept, w)
			continue
		}
		q.take(w.tenant)
		w.granted(&slot{of: s, tenant: w.tenant, queue: name})
	}
	clear(q.waiting[len(kept):])
	q.waiting = kept
}
