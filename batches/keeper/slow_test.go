package keeper_test

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/batches/keeper"
)

// slowly is an input of which no read comes to an end in half a minute, once it is slow.
type slowly struct {
	io.ReaderAt

	ctx  context.Context //nolint:containedctx // that of all reads
	slow *atomic.Bool
}

func (r slowly) ReadAt(p []byte, offset int64) (int, error) {
	if !r.slow.Load() {
		return r.ReaderAt.ReadAt(p, offset)
	}
	select {
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	case <-time.After(30 * time.Second):
		return 0, errCut
	}
}

// gone is an input that cannot be read while it is away.
type gone struct {
	io.ReaderAt

	away *atomic.Bool
}

func (r gone) ReadAt(p []byte, offset int64) (int, error) {
	if r.away.Load() {
		return 0, errCut
	}
	return r.ReaderAt.ReadAt(p, offset)
}

// cancelledAtOnce cancels a batch, which ends within 2 s.
func (s *stage) cancelledAtOnce(b batches.Batch) {
	s.t.Helper()
	at := time.Now()
	_, err := s.batches.Cancel(s.t.Context(), "acme", b.ID)
	s.must(err)
	if b = s.ended(b); b.Status != batches.StatusCancelled || b.EndedAt.Sub(at) > 2*time.Second {
		s.t.Errorf("it is %s, %v after it was cancelled", b.Status, b.EndedAt.Sub(at))
	}
}

// Inputs that are slow to read keep no other batch from being read, or cancelled.
func TestSlowInputsHoldNoOtherUp(t *testing.T) {
	bubble(t, 10, func(s *stage) {
		var slow atomic.Bool
		slow.Store(true)
		s.keep(func(c *keeper.Config, _ *cut) {
			c.Open = func(ctx context.Context, b batches.Batch) (io.ReaderAt, int64, error) {
				input, size, err := s.open(ctx, b)
				if b.Metadata["input"] == "slow" {
					input = slowly{input, ctx, &slow}
				}
				return input, size, err
			}
		})
		var held []batches.Batch
		for range 3 {
			held = append(held, s.create(lines(3, "m"), func(n *batches.New) { n.Metadata = map[string]string{"input": "slow"} }))
		}
		time.Sleep(time.Second)
		at := time.Now()
		b := s.ended(s.create(lines(3, "m")))
		if late := b.StartedAt.Sub(at); late > 2*time.Second || b.Counts.Succeeded != 3 {
			t.Errorf("it began after %v, with %+v", late, b.Counts)
		}
		slow.Store(false)
		for _, b := range held {
			s.ended(b)
		}
	})
}

// A batch whose input cannot be read is cancelled at once, however long it has not been.
func TestACancelInTrouble(t *testing.T) {
	bubble(t, 10, func(s *stage) {
		s.took = 30 * time.Second
		var away atomic.Bool
		s.keep(func(c *keeper.Config, _ *cut) {
			c.Open = func(ctx context.Context, b batches.Batch) (io.ReaderAt, int64, error) {
				input, size, err := s.open(ctx, b)
				return gone{input, &away}, size, err
			}
		})
		b := s.create(lines(300, "m"), func(n *batches.New) { n.Policy.Concurrency = 60 })
		s.until(b, "under way", func(b batches.Batch) bool { return b.Counts.Live == 60 })
		away.Store(true)
		s.until(b, "well under way", func(b batches.Batch) bool { return b.Counts.Ended() >= 20 })
		time.Sleep(55 * time.Second) // its rests are up to 30 s by now
		s.cancelledAtOnce(b)
		at := time.Now()
		time.Sleep(2 * time.Minute)
		s.nothingBegan(at, time.Now())
	})
}

// A batch whose input is slow, or that waits for others whose are, is cancelled at once.
func TestACancelDoesNotWaitForSlowInputs(t *testing.T) {
	bubble(t, 60, func(s *stage) {
		s.took = 10 * time.Second
		var slow atomic.Bool
		s.keep(func(c *keeper.Config, _ *cut) {
			c.Open = func(ctx context.Context, b batches.Batch) (io.ReaderAt, int64, error) {
				input, size, err := s.open(ctx, b)
				return slowly{input, ctx, &slow}, size, err
			}
		})
		var all []batches.Batch
		for range 6 {
			all = append(all, s.create(lines(100, "m"), func(n *batches.New) { n.Policy.Concurrency, n.Policy.NoDedupe = 20, true }))
		}
		for _, b := range all {
			s.until(b, "under way", func(b batches.Batch) bool { return b.Counts.Live == 20 })
		}
		slow.Store(true)
		time.Sleep(15 * time.Second)
		for _, b := range all {
			s.cancelledAtOnce(b)
		}
	})
}

// A line that can be made no job for now does not keep the others of its batch waiting.
func TestAPoisonedLineHoldsNothingUp(t *testing.T) {
	bubble(t, 100, func(s *stage) {
		s.took = 10 * time.Millisecond
		s.keep(func(c *keeper.Config, dead *cut) {
			c.Jobs = poisoned{cutJobs{s.jobs, dead}}
			c.Observer.Error = nil
		})
		all := append([]string{line("bad", "m", "poison in submit")}, lines(240, "m")...)
		b := s.create(all, func(n *batches.New) { n.Policy.Concurrency = 20 })
		b = s.until(b, "done but for one", func(b batches.Batch) bool { return b.Counts.Succeeded == 240 })
		if took := time.Since(b.CreatedAt); took > 25*time.Second {
			s.t.Errorf("that took %v", took)
		}
		s.cancelledAtOnce(b)
	})
}

// A paused batch of which nothing is live takes up no room, and expires all the same.
func TestAPausedBatchIsHeldByNobody(t *testing.T) {
	bubble(t, 10, func(s *stage) {
		s.took = 3 * time.Second
		var held atomic.Int64
		s.keep(func(c *keeper.Config, _ *cut) { c.Observer.Held = func(n int) { held.Store(int64(n)) } })
		b := s.create(lines(50, "m"), func(n *batches.New) { n.Window = "5m" })
		s.until(b, "under way", func(b batches.Batch) bool { return b.Counts.Ended() >= 20 })
		_, err := s.batches.Pause(s.t.Context(), "acme", b.ID)
		s.must(err)
		s.until(b, "at rest", func(b batches.Batch) bool { return b.Counts.Live == 0 })
		time.Sleep(5 * time.Second)
		if n := held.Load(); n != 0 {
			s.t.Errorf("%d batches are held", n)
		}
		if b = s.ended(b); b.Status != batches.StatusExpired || b.EndedAt.Sub(b.Deadline) > 5*time.Second {
			s.t.Errorf("it is %s, %v after its deadline", b.Status, b.EndedAt.Sub(b.Deadline))
		}
	})
}
