package jobs

import (
	"sync"

	"github.com/google/uuid"
)

// waiters holds who waits for which job to end.
type waiters struct {
	mu   sync.Mutex
	jobs map[uuid.UUID]map[chan struct{}]struct{}
}

func newWaiters() *waiters {
	return &waiters{jobs: map[uuid.UUID]map[chan struct{}]struct{}{}}
}

// join returns a channel that gets a value when the job may have ended. stop
// must be called.
func (w *waiters) join(job uuid.UUID) (woken <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.jobs[job] == nil {
		w.jobs[job] = map[chan struct{}]struct{}{}
	}
	w.jobs[job][c] = struct{}{}
	return c, func() { w.leave(job, c) }
}

func (w *waiters) leave(job uuid.UUID, c chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.jobs[job], c)
	if len(w.jobs[job]) == 0 {
		delete(w.jobs, job)
	}
}

// hear wakes the waiters of the jobs of s, or all when s names none: then
// signals may have been lost.
func (w *waiters) hear(s Signal) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(s.Jobs) == 0 {
		for _, of := range w.jobs {
			wake(of)
		}
		return
	}
	for _, job := range s.Jobs {
		wake(w.jobs[job])
	}
}

func wake(of map[chan struct{}]struct{}) {
	for c := range of {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
