package run_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/run"
	"github.com/penstock-dev/penstock/providers"
)

// recorded is a run's stream, kept.
type recorded struct {
	mu     sync.Mutex
	pieces []string
	ended  int
	// heard says that somebody listens.
	heard bool
}

// live makes the rig's runs tell s.
func (s *recorded) live(c *run.Config) { c.Live = func(jobs.Task) run.Stream { return s } }

func (s *recorded) Add(piece json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pieces = append(s.pieces, string(piece))
}

func (s *recorded) Heard() bool { return s.heard }

func (s *recorded) End(context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended++
}

func TestPiecesAreShownAndEndedBeforeTheOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &recorded{}
		g := newRig(t, s.live)
		g.call = func(ctx context.Context, _ providers.Request) (providers.Response, error) {
			piece(ctx, `"one"`)
			piece(ctx, `"two"`)
			return answer, nil
		}
		ended := 0
		g.finished = func(jobs.Outcome) ([]uuid.UUID, error) { ended = s.ended; return nil, nil }
		g.take()
		if !slices.Equal(s.pieces, []string{`"one"`, `"two"`}) || ended != 1 || s.ended != 1 {
			t.Errorf("shown %q, ended %d times, %d before the outcome; want both pieces and one end before it", s.pieces, s.ended, ended)
		}
	})
}
