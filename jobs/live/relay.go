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

const (
	// renewEvery is how often a hub asks again for all it listens to.
	renewEvery = 10 * time.Second
	// forgetAfter is how long a hub that does not ask again is told of a run.
	forgetAfter = 3 * renewEvery
	// maxHeld bounds the bytes of one run that are kept. Those who listen to a
	// longer answer see its beginning, and all of it when it is done.
	maxHeld = 16 << 20
	// lastWords bounds how long a run that is over waits until its listeners
	// were told the rest.
	lastWords = 250 * time.Millisecond
	// lingering is how long a run that is over is kept for those who have just
	// heard of it.
	lingering = time.Second
)

// Relay tells hubs of the runs of this process. Make one with [NewRelay]; it is
// safe for use by many goroutines.
type Relay struct {
	bus  jobs.Bus
	work chan struct{}

	mu      sync.Mutex
	streams map[uuid.UUID]*Stream
	fresh   []run
	// dirty are the streams that may have something to tell.
	dirty map[*Stream]struct{}
}

// NewRelay returns a relay that speaks on bus once Run runs.
func NewRelay(bus jobs.Bus) *Relay {
	return &Relay{
		bus: bus, work: make(chan struct{}, 1),
		streams: map[uuid.UUID]*Stream{}, dirty: map[*Stream]struct{}{},
	}
}

// Stream is what one run has brought so far.
type Stream struct {
	relay *Relay
	run   run
	// What follows is guarded by the relay.
	pieces []json.RawMessage
	bytes  int
	over   bool
	hubs   map[uuid.UUID]*heard
	// told is closed, once, when the run is over and all who listened were told
	// all of it.
	told   chan struct{}
	closed bool
}

// heard is how much of a stream a hub was told.
type heard struct {
	pieces int
	over   bool
	until  time.Time
}

// Begin announces a run. End must be called.
func (r *Relay) Begin(t jobs.Task) *Stream {
	s := &Stream{
		relay: r, run: run{Execution: t.Execution, Fence: t.Fence},
		hubs: map[uuid.UUID]*heard{}, told: make(chan struct{}),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.streams[t.Execution] = s
	r.fresh = append(r.fresh, s.run)
	r.wake()
	return s
}

// Add adds a piece, which must be JSON and not change.
func (s *Stream) Add(piece json.RawMessage) {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	if s.bytes += len(piece); s.bytes > maxHeld {
		return
	}
	s.pieces = append(s.pieces, piece)
	s.changed()
}

// Heard reports whether anybody listens, as far as is known by now.
func (s *Stream) Heard() bool {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	return len(s.hubs) > 0
}

// End says that nothing will follow, and waits until those who listen were told
// everything, at most a quarter of a second.
func (s *Stream) End(ctx context.Context) {
	defer time.AfterFunc(lingering, s.remove)
	if !s.finish() {
		return
	}
	late := time.NewTimer(lastWords)
	defer late.Stop()
	select {
	case <-s.told:
	case <-late.C:
	case <-ctx.Done():
	}
}

// finish marks the stream as over and reports whether anybody is still to be told.
func (s *Stream) finish() bool {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	s.over = true
	s.changed()
	return len(s.hubs) > 0
}

func (s *Stream) remove() {
	s.relay.mu.Lock()
	defer s.relay.mu.Unlock()
	delete(s.relay.dirty, s)
	if s.relay.streams[s.run.Execution] == s {
		delete(s.relay.streams, s.run.Execution)
	}
}

// changed notes that there is something to tell, if anybody listens.
func (s *Stream) changed() {
	if len(s.hubs) > 0 {
		s.relay.dirty[s] = struct{}{}
		s.relay.wake()
	}
}

func (r *Relay) wake() {
	select {
	case r.work <- struct{}{}:
	default:
	}
}

// Run tells hubs what they ask for until ctx ends, then returns nil.
func (r *Relay) Run(ctx context.Context) error {
	var telling sync.WaitGroup
	defer telling.Wait()
	telling.Go(func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-r.work:
				r.tell(ctx)
			}
		}
	})
	return r.bus.Subscribe(ctx, r.hear, topicAsked)
}

// hear notes what a hub wants. Wants of runs that are not here are another
// worker's.
func (r *Relay) hear(m jobs.Message) {
	var a asked
	if len(m.Data) == 0 || json.Unmarshal(m.Data, &a) != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range a.Wants {
		s := r.streams[w.Execution]
		if s == nil || w.Fence > s.run.Fence {
			continue
		}
		h := &heard{until: time.Now().Add(forgetAfter)}
		if w.Fence == s.run.Fence {
			h.pieces = min(max(0, w.Have), len(s.pieces))
		}
		s.hubs[a.Hub] = h
		s.changed()
	}
}

// tell sends what is to be told. What fails is not sent again unless the hub
// asks for it.
func (r *Relay) tell(ctx context.Context) {
	messages, finished := r.collect(time.Now())
	if len(messages) > 0 {
		_ = r.bus.Publish(ctx, messages...) // at most once, like all on the bus
	}
	for _, s := range finished {
		close(s.told)
	}
}

// collect returns what is to be told now, and the streams that need no more of it.
func (r *Relay) collect(now time.Time) (messages []jobs.Message, finished []*Stream) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for some := range slices.Chunk(r.fresh, maxRuns) {
		messages = append(messages, encode(topicBegun, begun{Runs: some}))
	}
	r.fresh = nil
	for s := range r.dirty {
		for hub, h := range s.hubs {
			if now.After(h.until) {
				delete(s.hubs, hub)
				continue
			}
			messages = append(messages, s.rest(hub, h)...)
		}
		if s.over && !s.closed {
			s.closed = true
			finished = append(finished, s)
		}
	}
	clear(r.dirty)
	return messages, finished
}

// rest returns what the hub was not told yet, and notes that it was.
func (s *Stream) rest(hub uuid.UUID, h *heard) (messages []jobs.Message) {
	for h.pieces < len(s.pieces) || s.over && !h.over {
		end, size := h.pieces, 0
		for end < len(s.pieces) && size < maxBytes {
			size += len(s.pieces[end])
			end++
		}
		t := told{run: s.run, From: h.pieces, Pieces: s.pieces[h.pieces:end], Over: s.over && end == len(s.pieces)}
		messages = append(messages, encode(topicOf(hub), t))
		h.pieces, h.over = end, t.Over
	}
	return messages
}
