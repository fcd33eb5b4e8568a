package courier

import (
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
)

// changes are the endpoints that were changed and not renewed since.
type changes struct {
	mu   sync.Mutex
	some map[uuid.UUID]struct{}
	all  bool
	// last is when the last change was told of.
	last time.Time
	poke chan struct{}
}

func newChanges() *changes {
	return &changes{some: make(map[uuid.UUID]struct{}), poke: make(chan struct{}, 1)}
}

// add adds endpoints; none: all of them.
func (c *changes) add(endpoints []uuid.UUID, at time.Time) {
	c.mu.Lock()
	c.last = at
	c.all = c.all || len(endpoints) == 0
	for _, id := range endpoints {
		c.some[id] = struct{}{}
	}
	c.mu.Unlock()
	poke(c.poke)
}

// since reports whether there was a change at a time or later.
func (c *changes) since(at time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.last.IsZero() && !c.last.Before(at)
}

func (c *changes) take() (some map[uuid.UUID]struct{}, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	some, all = c.some, c.all
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

// changed returns the turns of changed endpoints.
func (c *Courier) changed() []*turn {
	some, all := c.changes.take()
	var which []*turn
	for _, t := range c.holding() {
		if _, ok := some[t.id]; ok || all {
			which = append(which, t)
		}
	}
	return which
}
