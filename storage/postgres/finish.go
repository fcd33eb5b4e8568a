package postgres

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/group"
)

// finished is what one transaction made of an outcome.
type finished struct {
	ended []uuid.UUID
	// more says that jobs are left to settle.
	more bool
	// again says that the outcome was there before.
	again bool
}

// Finish ends an execution: see [jobs.RunStore].
func (s *Store) Finish(ctx context.Context, o jobs.Outcome) ([]uuid.UUID, error) {
	f, err := do(ctx, s.groups.finish, o)
	if err != nil {
		return nil, err
	}
	if f.more {
		if err := s.afterChunk(!f.again); err != nil {
			return nil, err
		}
		rest, err := s.settleRest(ctx, o.Task.Execution)
		if err != nil {
			return nil, err
		}
		f.ended = append(f.ended, rest...)
	}
	if f.again {
		return s.endedWith(ctx, o.Task.Execution)
	}
	return f.ended, nil
}

func (s *Store) finishAll(ctx context.Context, outcomes []jobs.Outcome) ([]group.Result[finished], error) {
	results := make([]group.Result[finished], len(outcomes))
	key := func(o jobs.Outcome) uuid.UUID { return o.Task.Execution }
	err := inRounds(outcomes, key, func(which []int) error {
		return s.write(ctx, "finish", func(ctx context.Context, t *txn) error {
			return s.finishDistinct(ctx, t, outcomes, which, results)
		})
	})
	return results, err
}

// finishDistinct is two round trips: lock and look, then write.
func (s *Store) finishDistinct(
	ctx context.Context, t *txn, outcomes []jobs.Outcome, which []int, results []group.Result[finished],
) error {
	ids := column(which, func(i int) uuid.UUID { return outcomes[i].Task.Execution })
	states, err := s.lockStates(ctx, t, ids)
	if err != nil {
		return err
	}
	var calls []jobs.Call
	var endings []*ending
	var stale []uuid.UUID
	for _, i := range which {
		o, state := outcomes[i], states[outcomes[i].Task.Execution]
		results[i] = decideOutcome(o, state)
		if errors.Is(results[i].Err, jobs.ErrProlonged) {
			continue
		}
		calls = append(calls, o.Call)
		if results[i].Err != nil || results[i].Value.again {
			stale = append(stale, o.Task.Execution)
			continue
		}
		e := endingOf(o, state)
		endings = append(endings, e)
		results[i].Value.ended, results[i].Value.more = e.jobIDs(), e.more
	}
	if len(stale) > 0 {
		lockDeletable(t, stale)
	}
	recordCalls(t, calls)
	return writeEndings(ctx, t, endings)
}

// decideOutcome says whether o may end the execution. Under the same fence it
// may, also when the release was taken back: nobody else can have begun.
func decideOutcome(o jobs.Outcome, state *executionState) group.Result[finished] {
	switch {
	case state == nil, o.Task.Fence == 0:
		return group.Result[finished]{Err: jobs.ErrStale}
	case state.resultFence != nil && *state.resultFence == o.Task.Fence:
		return group.Result[finished]{Value: finished{again: true, more: state.settling}}
	case !state.live || state.settling || state.fence != o.Task.Fence:
		return group.Result[finished]{Err: jobs.ErrStale}
	case !o.StopAt.IsZero() && state.stopAt.After(o.StopAt):
		return group.Result[finished]{Err: jobs.ErrProlonged}
	case o.Degraded && !state.degradable:
		return group.Result[finished]{Err: jobs.ErrProlonged}
	default:
		return group.Result[finished]{}
	}
}

func endingOf(o jobs.Outcome, state *executionState) *ending {
	return &ending{
		executionState: state, by: o.Task.Fence, status: o.Status, body: o.Result, err: o.Error, key: o.KeyID, at: o.At,
		degraded: o.Degraded, incomplete: o.Incomplete,
		provider: o.Call.Provider, model: o.Call.Model, usage: usageOfCall(o.Call), allTries: state.tries + o.Tries,
	}
}

// endedWith lists the jobs that ended with the execution's result, as the
// Finish that made it did.
func (s *Store) endedWith(ctx context.Context, execution uuid.UUID) (ended []uuid.UUID, err error) {
	const query = `
		SELECT j.id FROM results r JOIN jobs j ON j.execution_id = r.execution_id
		WHERE r.execution_id = $1 AND j.finished_at = r.finished_at
			AND (NOT j.cached AND j.status IN (r.status, 'expired') OR j.answer_of IS NOT NULL)`
	err = s.bounded(ctx, "list the jobs that ended", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, execution)
		if err != nil {
			return err
		}
		ended, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	return ended, err
}
