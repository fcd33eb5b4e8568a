package httpapi

import (
	"context"
	"sync"
)

// waiters are the requests that wait for a job. There is a bound on how many,
// and all can be woken at once.
type waiters struct {
	limit int

	mu      sync.Mutex
	closed  bool
	waiting map[*context.CancelFunc]struct{}
}

func newWaiters(limit int) *waiters {
	return &waiters{limit: limit, waiting: map[*context.CancelFunc]struct{}{}}
}

// enter returns a context that ends with parent and when the waiters are woken
// for good. leave must be called. ok is false, and nothing is to be left, when
// there is no room or no waiting any more.
func (w *waiters) enter(parent context.Context) (ctx context.Context, leave func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed || len(w.waiting) >= w.limit {
		return nil, nil, false
	}
	ctx, cancel := context.WithCancel(parent)
	w.waiting[&cancel] = struct{}{}
	return ctx, func() { w.leave(&cancel) }, true
}

func (w *waiters) leave(cancel *context.CancelFunc) {
	(*cancel)()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.waiting, cancel)
}

// close wakes all that wait and lets nobody wait any more.
func (w *waiters) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	for cancel := range w.waiting {
		(*cancel)()
	}
}
