package control

import (
	"context"
	"fmt"
	"time"
)

const (
	sweepEvery = time.Minute
	// sweepTimeout leaves room for deleting much.
	sweepTimeout = 10 * time.Minute
)

// sweeping removes files, under a lease.
type sweeping struct {
	c     *Controller
	lease *lease
	// swept is when this process last began to; one that failed counts.
	swept time.Time
}

func (s *sweeping) step(ctx context.Context) error {
	held, err := s.lease.hold(ctx)
	if err != nil || !held || time.Since(s.swept) < sweepEvery {
		return err
	}
	s.swept = time.Now()
	if err := s.c.cfg.Sweep(ctx); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	return nil
}
