package keeper

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// cancel ends what has not ended of a batch that was cancelled: its jobs first, for they
// may begin.
func (t *turn) cancel(ctx context.Context) error {
	ids, err := t.work(ctx)
	if err != nil {
		return err
	}
	if err := t.cancelJobs(ctx, ids); err != nil {
		return err
	}
	if err := t.cancelStray(ctx); err != nil {
		return err
	}
	return t.endPending(ctx, batches.LineCancelled, batches.CodeBatchCancelled)
}

// endPending ends all pending lines.
func (t *turn) endPending(ctx context.Context, as batches.State, code string) error {
	for {
		n, err := t.k.cfg.Store.EndLines(ctx, t.k.cfg.Holder, t.id, as, code, nil, collectAtOnce)
		if err != nil {
			return fmt.Errorf("end pending lines: %w", err)
		}
		if n < collectAtOnce {
			return nil
		}
	}
}

// cancelStray cancels jobs that were made for a line and not noted in it: whoever made
// them died, or found the batch cancelled.
func (t *turn) cancelStray(ctx context.Context) error {
	const atOnce = 100
	for _, status := range []jobs.Status{jobs.StatusQueued, jobs.StatusRunning} {
		q := jobs.JobQuery{Tenant: t.batch.Tenant, Batch: t.id, Status: status, Limit: atOnce}
		for more := true; more; {
			page, left, err := t.k.cfg.Jobs.List(ctx, q)
			if err != nil {
				return fmt.Errorf("list jobs of the batch: %w", err)
			}
			ids := make([]uuid.UUID, len(page))
			for i, j := range page {
				ids[i], q.Before = j.ID, j.ID
			}
			if err := t.cancelJobs(ctx, ids); err != nil {
				return err
			}
			more = left
		}
	}
	return nil
}

// cancelJobs cancels jobs, many at once. Those that have ended, or are gone, stay so.
func (t *turn) cancelJobs(ctx context.Context, ids []uuid.UUID) error {
	var m made
	var busy sync.WaitGroup
	for _, id := range ids {
		if t.k.calls.enter(ctx) != nil {
			break
		}
		busy.Go(func() {
			defer t.k.calls.leave()
			m.failed(t.guarded(ctx, func(ctx context.Context) error {
				_, err := t.k.cfg.Jobs.Cancel(ctx, t.batch.Tenant, id)
				if errors.Is(err, jobs.ErrNotFound) {
					return nil
				}
				return err
			}))
		})
	}
	busy.Wait()
	if m.err != nil {
		return fmt.Errorf("cancel jobs: %w", m.err)
	}
	return ctx.Err()
}
