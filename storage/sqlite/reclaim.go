package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// reclaimed is what a dead worker left, and what is left to settle of it.
type reclaimed struct {
	jobs.Reclaimed
	unsettled []uuid.UUID
}

// Reclaim declares a worker dead: see [jobs.ControlStore].
func (s *Store) Reclaim(ctx context.Context, w jobs.Worker, at time.Time) (jobs.Reclaimed, error) {
	got, err := change(ctx, s, "reclaim", func(ctx context.Context, t *statements) (reclaimed, error) {
		dead, err := t.exec(ctx, `DELETE FROM workers WHERE id = ? AND beat = ?`, id(w.ID), w.Beat)
		if err != nil || dead == 0 {
			return reclaimed{}, err
		}
		held, err := heldBy(ctx, t, w.ID)
		if err != nil {
			return reclaimed{}, err
		}
		return s.crashAll(ctx, t, held, at)
	})
	if err != nil {
		return jobs.Reclaimed{}, err
	}
	for _, execution := range got.unsettled {
		if err := s.settleRest(ctx, execution, &got.Ended); err != nil {
			return jobs.Reclaimed{}, err
		}
	}
	return got.Reclaimed, nil
}

// crashAll counts a crash for each execution.
func (s *Store) crashAll(
	ctx context.Context, t *statements, executions []uuid.UUID, at time.Time,
) (got reclaimed, err error) {
	for _, execution := range executions {
		if err := s.crash(ctx, t, execution, at, &got); err != nil {
			return reclaimed{}, err
		}
	}
	return got, nil
}

// crash makes an execution ready again, with one crash more, or ends it.
func (s *Store) crash(ctx context.Context, t *statements, executionID uuid.UUID, at time.Time, got *reclaimed) error {
	e, ok, err := executionByID(ctx, t, executionID)
	if err != nil || !ok {
		return err
	}
	if e.crashes+1 >= jobs.MaxCrashes {
		v, err := s.endWith(ctx, t, e, poisoned(e, micros(at)))
		got.Ended = append(got.Ended, v.ended...)
		if v.more {
			got.unsettled = append(got.unsettled, e.id)
		}
		return err
	}
	if _, err := t.exec(ctx, `UPDATE queue SET crashes = crashes + 1 WHERE id = ?`, id(e.id)); err != nil {
		return err
	}
	got.Requeued++
	return takeBack(ctx, t, e.id)
}
