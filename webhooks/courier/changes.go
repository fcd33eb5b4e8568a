package courier

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Changes are heeded every changesEvery on average, and changesBurst times at once before
// that: what is to be sent is read anew each time, and nothing is sent meanwhile.
const (
	changesEvery = 100 * time.Millisecond
	changesBurst = 10
)

// changes are the endpoints that were changed and not renewed since.
type changes struct {
	mu   sync.Mutex
	some map[uuid.UUID]struct{}
	all  bool
	// last is when the last change was told of, and even when changes would be heeded next
	// if they were so evenly; renewing says that leases are being renewed because of some.
	last, even time.Time
	renewing   bool
	poke       chan struct{}
}

func newChanges() *changes {
	return &changes{some: make(map[uuid.UUID]struct{}), poke: make(chan struct{}, 1)}
}

// add adds endpoints; none: all of them. It reports whether they are to be told at once,
// and not with others in a moment.
func (c *changes) add(endpoints []uuid.UUID, at time.Time) (now bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = at
	c.all = c.all || len(endpoints) == 0
	for _, id := range endpoints {
		c.some[id] = struct{}{}
	}
	poke(c.poke)
	return !c.renewing && !at.Before(c.next())
}

// next returns when changes are to be heeded next, at the earliest.
func (c *changes) next() time.Time { return c.even.Add((1 - changesBurst) * changesEvery) }

// rest returns how long it is until changes are to be heeded.
func (c *changes) rest() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Until(c.next())
}

// renewed takes note that changes have been heeded.
func (c *changes) renewed() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.renewing = false
	if now := time.Now(); c.even.Before(now) {
		c.even = now
	}
	c.even = c.even.Add(changesEvery)
}

// since reports whether there was a change at a time or later.
func (c *changes) since(at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.last.IsZero() && !c.last.Before(at)
}

// take returns what is heeded now, until renewed is called.
func (c *changes) take() (some map[uuid.UUID]struct{}, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	some, all, c.renewing = c.some, c.all, true
	c.some, c.all = make(map[uuid.UUID]struct{}), false
	return some, all
}

// tell tells the turns of changed endpoints that those have changed at a time.
func (c *Courier) tell(endpoints []uuid.UUID, at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, t := range c.turns {
		if len(endpoints) == 0 || slices.Contains(endpoints, id) {
			t.mail.post(func(to *letters) { to.changed = at })
		}
	}
}

// changed returns the turns of changed endpoints, which have been told.
func (c *Courier) changed() []*turn {
	some, all := c.changes.take()
	now := time.Now()
	var which []*turn
	for _, t := range c.holding() {
		if _, ok := some[t.id]; ok || all {
			t.mail.post(func(to *letters) { to.changed = now })
			which = append(which, t)
		}
	}
	return which
}
