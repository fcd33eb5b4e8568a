package run

import (
	"bytes"
	"context"
	"encoding/json"
	"sync/atomic"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// Stream takes the pieces of a run's answer as they arrive.
type Stream interface {
	// Add adds a piece. It does not block.
	Add(piece json.RawMessage)
	// Heard reports whether anybody listens.
	Heard() bool
	// End says that no more follow, before the outcome is recorded. It returns
	// soon.
	End(ctx context.Context)
}

// stage shows the pieces of one call of a run to those who listen: of the first
// that brings a token.
type stage struct {
	stream Stream
	// shown is the number of the call that is shown, zero before there is one.
	shown atomic.Int64
}

func (r *Runner) newStage(t jobs.Task) *stage {
	if r.cfg.Live == nil {
		return &stage{}
	}
	return &stage{stream: r.cfg.Live(t)}
}

func (s *stage) end(ctx context.Context) {
	if s.stream != nil {
		s.stream.End(context.WithoutCancel(ctx))
	}
}

// maxHeld bounds the pieces that are held back.
const maxHeld = 16

// voice shows the pieces of one call. Those before its first token are held back
// until then: a call that has said nothing yet keeps no other from the stage. It
// is for one goroutine.
type voice struct {
	stage *stage
	call  int64
	held  []json.RawMessage
}

func (s *stage) voice(call int) *voice { return &voice{stage: s, call: int64(call)} }

// say shows a piece, unless another call is shown. It reports whether somebody
// listens who has seen it.
func (v *voice) say(c providers.Chunk) (seen bool) {
	s := v.stage
	if s.stream == nil {
		return false
	}
	if c.Data != nil {
		v.held = append(v.held, bytes.Clone(c.Data))
	}
	shown := s.shown.Load()
	if shown == 0 && (c.Token || len(v.held) >= maxHeld) && s.shown.CompareAndSwap(0, v.call) {
		shown = v.call
	}
	switch {
	case shown == v.call:
		for _, piece := range v.held {
			s.stream.Add(piece)
		}
		v.held = nil
		return s.stream.Heard()
	case shown != 0:
		v.held = nil
	}
	return false
}
