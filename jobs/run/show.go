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
// that brings any.
type stage struct {
	stream Stream
	// shown is the number of the call that is shown, zero before there is one.
	shown atomic.Int64
}

func (r *Runner) stage(t jobs.Task) *stage {
	if r.cfg.Live == nil {
		return &stage{}
	}
	return &stage{stream: r.cfg.Live(t)}
}

// show shows a piece of the given call, unless another is shown. It reports
// whether somebody listens who has seen it.
func (s *stage) show(call int, c providers.Chunk) (seen bool) {
	if s.stream == nil || !s.shown.CompareAndSwap(0, int64(call)) && s.shown.Load() != int64(call) {
		return false
	}
	s.stream.Add(bytes.Clone(c.Data))
	return s.stream.Heard()
}

func (s *stage) end(ctx context.Context) {
	if s.stream != nil {
		s.stream.End(context.WithoutCancel(ctx))
	}
}
