package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
)

// Reclaim declares a worker dead: see [jobs.ControlStore].
func (s *Store) Reclaim(ctx context.Context, w jobs.Worker, at time.Time) (jobs.Reclaimed, error) {
	var got jobs.Reclaimed
	var more []uuid.UUID
	err := s.write(ctx, "reclaim a dead worker's runs", func(ctx context.Context, t *txn) (err error) {
		got, more, err = s.reclaim(ctx, t, w, at)
		return err
	})
	if err != nil {
		return jobs.Reclaimed{}, err
	}
	for _, execution := range more {
		if err := s.afterChunk(true); err != nil {
			return got, err
		}
		rest, err := s.settleRest(ctx, execution)
		if err != nil {
			return got, err
		}
		got.Ended = append(got.Ended, rest...)
	}
	return got, nil
}

// reclaim returns also the executions that are left to settle.
func (s *Store) reclaim(
	ctx context.Context, t *txn, w jobs.Worker, at time.Time,
) (got jobs.Reclaimed, more []uuid.UUID, err error) {
	beat, err := lockWorker(ctx, t, w.ID)
	if err != nil || beat == 0 || beat != w.Beat {
		return got, nil, err
	}
	held, err := lockHeld(ctx, t, w.ID)
	if err != nil {
		return got, nil, err
	}
	t.exec(`DELETE FROM workers WHERE id = $1`, w.ID)
	again, poisoned, err := countCrash(ctx, t, held)
	if err != nil {
		return got, nil, err
	}
	makeReady(t, again)
	got.Requeued = len(again)
	endings, err := s.poison(ctx, t, poisoned, at)
	for _, e := range endings {
		got.Ended = append(got.Ended, e.jobIDs()...)
		if e.more {
			more = append(more, e.id)
		}
	}
	return got, more, err
}

// countCrash adds a crash to each execution, and tells those that may run again
// from those that have had too many.
func countCrash(ctx context.Context, t *txn, held []uuid.UUID) (again, poisoned []uuid.UUID, err error) {
	if len(held) == 0 {
		return nil, nil, nil
	}
	t.each(func(rows pgx.Rows) error {
		var id uuid.UUID
		var crashes int
		if err := rows.Scan(&id, &crashes); err != nil {
			return err
		}
		if crashes < jobs.MaxCrashes {
			again = append(again, id)
		} else {
			poisoned = append(poisoned, id)
		}
		return nil
	}, `UPDATE queue SET crashes = crashes + 1 WHERE id = ANY ($1::uuid[]) RETURNING id, crashes`, held)
	return again, poisoned, t.flush(ctx)
}

// poison ends executions as failed.
func (s *Store) poison(ctx context.Context, t *txn, ids []uuid.UUID, at time.Time) ([]*ending, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return s.refuse(ctx, t, ids, *errPoisoned(), at)
}
