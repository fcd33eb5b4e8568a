package keeper

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// withdraw takes the jobs of a paused batch back that have not begun: their lines are
// pending again once they are cancelled.
func (t *turn) withdraw(ctx context.Context) error {
	var lines []batches.Line
	if err := t.lines(ctx, func(l batches.Line) { lines = append(lines, l) }); err != nil {
		return err
	}
	for some := range slices.Chunk(lines, readAtOnce) {
		if err := t.withdrawSome(ctx, some); err != nil {
			return err
		}
	}
	return nil
}

func (t *turn) withdrawSome(ctx context.Context, lines []batches.Line) error {
	ids := make([]uuid.UUID, len(lines))
	for i, l := range lines {
		ids[i] = l.Job
	}
	standing, err := t.k.cfg.Standings.Standings(ctx, ids)
	if err != nil {
		return fmt.Errorf("ask how jobs stand: %w", err)
	}
	var ns []int
	var queued []uuid.UUID
	for _, l := range lines {
		if standing[l.Job].Status != jobs.StatusQueued {
			continue
		}
		queued = append(queued, l.Job)
		if l.State == batches.LineLive {
			ns = append(ns, l.N)
		}
	}
	if len(ns) > 0 {
		if err := t.k.cfg.Store.WithdrawLines(ctx, t.k.cfg.Holder, t.id, ns); err != nil {
			return fmt.Errorf("withdraw lines: %w", err)
		}
	}
	return t.cancelJobs(ctx, queued)
}

// giveUp lets go of a paused batch in which there is nothing to do: what is held is
// bounded, and the batches of others wait for room. Once there is it is leased again.
func (t *turn) giveUp(ctx context.Context) error {
	if err := t.k.cfg.Store.ReleaseBatches(ctx, t.k.cfg.Holder, []uuid.UUID{t.id}); err != nil {
		return fmt.Errorf("give up a paused batch: %w", err)
	}
	t.over = true
	return nil
}
