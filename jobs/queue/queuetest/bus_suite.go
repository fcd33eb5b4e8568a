package queuetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// RunBus checks that the buses that open returns are what [jobs.Bus] promises.
func RunBus(t *testing.T, open func(t *testing.T) jobs.Bus) {
	t.Helper()
	t.Run("every subscriber hears its topics in order", func(t *testing.T) {
		t.Parallel()
		bus := open(t)
		topic, other := uuid.NewString(), uuid.NewString()
		first, second := subscribe(t, bus, topic), subscribe(t, bus, other, topic)
		var want []string
		for i := range 50 {
			data := fmt.Sprint(i)
			want = append(want, data)
			messages := []jobs.Message{{Topic: uuid.NewString(), Data: []byte("nobody's")}, {Topic: topic, Data: []byte(data)}}
			if err := bus.Publish(t.Context(), messages...); err != nil {
				t.Fatalf("publish: %v", err)
			}
		}
		first.hears(topic, want)
		second.hears(topic, want)
		if err := bus.Publish(t.Context(), jobs.Message{Topic: other, Data: []byte("other")}); err != nil {
			t.Fatalf("publish: %v", err)
		}
		second.hears(other, []string{"other"})
		first.hears(other, nil)
	})
	t.Run("the end of a subscription is no error", func(t *testing.T) {
		t.Parallel()
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := open(t).Subscribe(ctx, func(jobs.Message) {}, "topic"); err != nil {
			t.Errorf("Subscribe() = %v", err)
		}
	})
}

// hearer is a subscriber under test.
type hearer struct {
	t       *testing.T
	changed chan struct{}

	mu        sync.Mutex
	connected map[string]bool
	heard     map[string][]string
}

// subscribe returns once the bus has said that it is connected to all topics.
func subscribe(t *testing.T, bus jobs.Bus, topics ...string) *hearer {
	t.Helper()
	h := &hearer{t: t, changed: make(chan struct{}, 1), connected: map[string]bool{}, heard: map[string][]string{}}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- bus.Subscribe(ctx, h.hear, topics...) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Subscribe() = %v", err)
		}
	})
	h.until("connected", func() bool { return len(h.connected) == len(topics) })
	return h
}

func (h *hearer) hear(m jobs.Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(m.Data) == 0 {
		h.connected[m.Topic] = true
	} else {
		h.heard[m.Topic] = append(h.heard[m.Topic], string(m.Data))
	}
	select {
	case h.changed <- struct{}{}:
	default:
	}
}

func (h *hearer) hears(topic string, want []string) {
	h.t.Helper()
	h.until(fmt.Sprintf("%v heard", want), func() bool { return slices.Equal(h.heard[topic], want) })
}

// until waits for a state of h.
func (h *hearer) until(what string, is func() bool) {
	h.t.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		h.mu.Lock()
		ok := is()
		heard := fmt.Sprint(h.heard)
		h.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-h.changed:
		case <-late.C:
			h.t.Fatalf("not %s after %v; heard %s", what, patience, heard)
		}
	}
}
