package courier

import (
	"sync"

	"github.com/google/uuid"
)

// changes are the endpoints that were changed and not renewed since.
type changes struct {
	mu   sync.Mutex
	some map[uuid.UUID]struct{}
	all  bool
	poke chan struct{}
}

func newChanges() *changes {
	return &changes{some: make(map[uuid.UUID]struct{}), poke: make(chan struct{}, 1)}
}

// add adds endpoints; none: all of them.
func (c *changes) add(endpoints []uuid.UUID) {
	c.mu.Lock()
	c.all = c.all || len(endpoints) == 0
	for _, id := range endpoints {
		c.some[id] = struct{}{}
	}
	c.mu.Unlock()
	poke(c.poke)
}

func (c *changes) take() (some map[uuid.UUID]struct{}, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	some, all = c.some, c.all
	c.some, c.all = make(map[uuid.UUID]struct{}), false
	return some, all
}

// changed tells the turns of changed endpoints, and returns those.
func (c *Courier) changed() []*turn {
	some, all := c.changes.take()
	var which []*turn
	c.each(func(t *turn) {
		if _, ok := some[t.id]; ok || all {
			t.mail.post(func(to *letters) { to.changed = true })
			which = append(which, t)
		}
	})
	return which
}
