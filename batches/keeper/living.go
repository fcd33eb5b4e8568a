package keeper

import (
	"sync"

	"github.com/google/uuid"
)

// living are the jobs of the batches that are held, by whose turn they are, until they
// are told to have ended.
type living struct {
	mu   sync.Mutex
	jobs map[uuid.UUID]*turn
}

func (l *living) add(id uuid.UUID, t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.jobs == nil {
		l.jobs = make(map[uuid.UUID]*turn)
	}
	l.jobs[id] = t
}

// take returns whose job it is, and forgets it; nil: nobody's.
func (l *living) take(id uuid.UUID) *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	t := l.jobs[id]
	delete(l.jobs, id)
	return t
}

// forget forgets the jobs of a turn.
func (l *living) forget(t *turn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, of := range l.jobs {
		if of == t {
			delete(l.jobs, id)
		}
	}
}
