package live

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Hub hears of runs for the listeners of this process. Make one with [NewHub];
// it is safe for use by many goroutines.
type Hub struct {
	id   uuid.UUID
	bus  jobs.Bus
	work chan struct{}

	mu     sync.Mutex
	topics map[uuid.UUID]*topic
	// asking are the executions to ask about.
	asking map[uuid.UUID]struct{}
}

// topic is what is known of an execution that somebody listens to.
type topic struct {
	fence     int64
	pieces    []json.RawMessage
	over      bool
	listeners int
	// changed is closed, and replaced, at each change.
	changed chan struct{}
}

func (t *topic) change() {
	close(t.changed)
	t.changed = make(chan struct{})
}

// begin turns to a later run.
func (t *topic) begin(fence int64) {
	t.fence, t.pieces, t.over = fence, nil, false
	t.change()
}

// NewHub returns a hub that listens on bus once Run runs.
func NewHub(bus jobs.Bus) *Hub {
	return &Hub{
		id: uuid.New(), bus: bus, work: make(chan struct{}, 1),
		topics: map[uuid.UUID]*topic{}, asking: map[uuid.UUID]struct{}{},
	}
}

// Listener follows one execution. Close must be called.
type Listener struct {
	hub       *Hub
	execution uuid.UUID
}

// Listen begins to listen to an execution.
func (h *Hub) Listen(execution uuid.UUID) *Listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[execution]
	if t == nil {
		t = &topic{changed: make(chan struct{})}
		h.topics[execution] = t
		h.ask(execution)
	}
	t.listeners++
	return &Listener{hub: h, execution: execution}
}

// Close ends listening.
func (l *Listener) Close() {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	t := l.hub.topics[l.execution]
	if t.listeners--; t.listeners == 0 {
		delete(l.hub.topics, l.execution)
	}
}

// Heard is how far the latest known run has come.
type Heard struct {
	// Fence is zero when no run is known.
	Fence int64
	// Pieces are those of the run, all of them.
	Pieces []json.RawMessage
	// Over says that no more will follow.
	Over bool
	// Changed is closed when there is more.
	Changed <-chan struct{}
}

// Heard returns what has been heard so far. Its pieces do not change.
func (l *Listener) Heard() Heard {
	l.hub.mu.Lock()
	defer l.hub.mu.Unlock()
	t := l.hub.topics[l.execution]
	return Heard{Fence: t.fence, Pieces: slices.Clip(t.pieces), Over: t.over, Changed: t.changed}
}

// Run hears until ctx ends, then returns nil.
func (h *Hub) Run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	asking.Go(func() {
		renew := time.NewTicker(renewEvery)
		defer renew.Stop()
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-h.work:
				h.send(ctx)
			case <-renew.C:
				h.askAll()
			}
		}
	})
	return h.bus.Subscribe(ctx, h.hear, topicBegun, topicOf(h.id))
}

// ask asks for what is missing of an execution. The hub is locked.
func (h *Hub) ask(execution uuid.UUID) {
	h.asking[execution] = struct{}{}
	select {
	case h.work <- struct{}{}:
	default:
	}
}

func (h *Hub) askAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for execution, t := range h.topics {
		if !t.over {
			h.ask(execution)
		}
	}
}

// send sends what is to be asked. What fails is asked again at the next
// renewal.
func (h *Hub) send(ctx context.Context) {
	var messages []jobs.Message
	for some := range slices.Chunk(h.wants(), maxRuns) {
		messages = append(messages, encode(topicAsked, asked{Hub: h.id, Wants: some}))
	}
	if len(messages) > 0 {
		_ = h.bus.Publish(ctx, messages...) // at most once, like all on the bus
	}
}

func (h *Hub) wants() (wants []want) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for execution := range h.asking {
		if t := h.topics[execution]; t != nil {
			wants = append(wants, want{run: run{Execution: execution, Fence: t.fence}, Have: len(t.pieces)})
		}
	}
	clear(h.asking)
	return wants
}

// hear takes what workers tell. When messages may have been lost it asks for
// everything again.
func (h *Hub) hear(m jobs.Message) {
	if len(m.Data) == 0 {
		h.askAll()
		return
	}
	if m.Topic == topicBegun {
		var b begun
		if json.Unmarshal(m.Data, &b) == nil {
			h.hearBegun(b.Runs)
		}
		return
	}
	var t told
	if json.Unmarshal(m.Data, &t) == nil {
		h.hearTold(t)
	}
}

func (h *Hub) hearBegun(runs []run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range runs {
		if t := h.topics[r.Execution]; t != nil && r.Fence > t.fence {
			t.begin(r.Fence)
			h.ask(r.Execution)
		}
	}
}

// hearTold adds what is new. Where something is missing in between, it asks.
func (h *Hub) hearTold(m told) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[m.Execution]
	if t == nil || m.Fence < t.fence {
		return
	}
	if m.Fence > t.fence {
		t.begin(m.Fence)
	}
	known := len(t.pieces) - m.From
	if known < 0 {
		h.ask(m.Execution)
		return
	}
	if known < len(m.Pieces) || m.Over && !t.over {
		t.pieces = append(t.pieces, m.Pieces[min(known, len(m.Pieces)):]...)
		t.over = t.over || m.Over
		t.change()
	}
}
