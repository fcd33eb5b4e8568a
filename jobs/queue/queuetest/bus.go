package queuetest

import (
	"context"
	"slices"
	"sync"

	"github.com/penstock-dev/penstock/jobs"
)

// Bus is a [jobs.Bus] in memory. Messages are heard before Publish returns.
type Bus struct {
	mu          sync.Mutex
	subscribers map[*subscriber]bool
	// drop decides which messages are lost.
	drop func(jobs.Message) bool
}

type subscriber struct {
	topics []string
	hear   func(jobs.Message)
}

var _ jobs.Bus = (*Bus)(nil)

// NewBus returns a bus without subscribers.
func NewBus() *Bus { return &Bus{subscribers: map[*subscriber]bool{}} }

// Drop makes the bus lose the messages that drop says; nil makes it lose none.
func (b *Bus) Drop(drop func(jobs.Message) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop = drop
}

// Reconnect tells all subscribers that messages may have been lost.
func (b *Bus) Reconnect() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subscribers {
		s.connected()
	}
}

func (s *subscriber) connected() {
	for _, topic := range s.topics {
		s.hear(jobs.Message{Topic: topic})
	}
}

// Publish implements [jobs.Bus]. It never fails.
func (b *Bus) Publish(_ context.Context, messages ...jobs.Message) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range messages {
		if b.drop != nil && b.drop(m) {
			continue
		}
		for s := range b.subscribers {
			if slices.Contains(s.topics, m.Topic) {
				s.hear(m)
			}
		}
	}
	return nil
}

// Subscribe implements [jobs.Bus].
func (b *Bus) Subscribe(ctx context.Context, hear func(jobs.Message), topics ...string) error {
	s := &subscriber{topics: topics, hear: hear}
	b.mu.Lock()
	b.subscribers[s] = true
	s.connected()
	b.mu.Unlock()
	<-ctx.Done()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.subscribers, s)
	return nil
}
