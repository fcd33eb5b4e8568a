// Package mailbox keeps signals for a listener that may be slow, without ever
// making the sender wait and without growing.
package mailbox

import (
	"context"
	"sync"

	"github.com/penstock-dev/penstock/jobs"
)

// limit is how many signals wait for a listener.
const limit = 1024

// Mailbox is safe for use by many goroutines; one delivers.
type Mailbox struct {
	kinds []jobs.SignalKind
	// filled holds a token when there may be something to deliver.
	filled chan struct{}

	mu      sync.Mutex
	waiting []jobs.Signal
}

// New returns an empty mailbox for signals of the given kinds.
func New(kinds []jobs.SignalKind) *Mailbox {
	return &Mailbox{kinds: kinds, filled: make(chan struct{}, 1)}
}

// Put adds a signal. It does not block. A full mailbox is emptied first, and
// the listener gets a zero signal of each kind for what it has missed.
func (m *Mailbox) Put(signal jobs.Signal) {
	m.mu.Lock()
	if len(m.waiting) >= limit {
		m.reset()
	}
	m.waiting = append(m.waiting, signal)
	m.mu.Unlock()
	m.wake()
}

// Reset drops what waits, and leaves a zero signal of each kind.
func (m *Mailbox) Reset() {
	m.mu.Lock()
	m.reset()
	m.mu.Unlock()
	m.wake()
}

func (m *Mailbox) reset() {
	m.waiting = nil
	for _, kind := range m.kinds {
		m.waiting = append(m.waiting, jobs.Signal{Kind: kind})
	}
}

func (m *Mailbox) wake() {
	select {
	case m.filled <- struct{}{}:
	default:
	}
}

// Deliver calls hear for each signal, one after another, until ctx ends.
func (m *Mailbox) Deliver(ctx context.Context, hear func(jobs.Signal)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.filled:
		}
		for _, signal := range m.take() {
			if ctx.Err() != nil {
				return
			}
			hear(signal)
		}
	}
}

func (m *Mailbox) take() []jobs.Signal {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.waiting
	m.waiting = nil
	return taken
}
