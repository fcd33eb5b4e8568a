package sqlite

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// verdict is what a transaction found that is kept whatever it found: a stale
// worker's call is recorded, and its caller is told.
type verdict struct {
	err   error
	ended []uuid.UUID
	// more says that jobs are left for further chunks.
	more bool
	// repeated says that the execution had ended with the same finish.
	repeated bool
}

// Finish ends an execution: see [jobs.RunStore].
func (s *Store) Finish(ctx context.Context, o jobs.Outcome) ([]uuid.UUID, error) {
	v, err := change(ctx, s, "finish", func(ctx context.Context, t *statements) (verdict, error) {
		return s.finish(ctx, t, o)
	})
	if err != nil || v.err != nil {
		return nil, errors.Join(err, v.err)
	}
	switch {
	case v.repeated && v.more:
		err = s.settle(ctx, o.Task.Execution, &v.ended)
	case v.more:
		err = s.settleRest(ctx, o.Task.Execution, &v.ended)
	}
	if err != nil || !v.repeated {
		return v.ended, err
	}
	return s.endedBy(ctx, o.Task.Execution)
}

func (s *Store) finish(ctx context.Context, t *statements, o jobs.Outcome) (verdict, error) {
	e, live, err := executionByID(ctx, t, o.Task.Execution)
	if err != nil {
		return verdict{}, err
	}
	if !live || e.settling {
		return s.finishAgain(ctx, t, o, e.settling)
	}
	if e.fence != o.Task.Fence {
		return verdict{err: jobs.ErrStale}, recordCall(ctx, t, o.Task, o.Call)
	}
	if !o.StopAt.IsZero() && e.stopAt > micros(o.StopAt) {
		return verdict{err: jobs.ErrProlonged}, nil
	}
	if o.Degraded {
		if ok, err := degradable(ctx, t, e.id); err != nil || !ok {
			return verdict{err: jobs.ErrProlonged}, err
		}
	}
	if err := recordCall(ctx, t, o.Task, o.Call); err != nil {
		return verdict{}, err
	}
	e.tries += o.Tries
	if o.Call.Provider != "" {
		e.provider = o.Call.Provider
	}
	return s.endWith(ctx, t, e, resultOf(e, o))
}

// finishAgain answers a finish of an execution that has ended: by the same
// finish, or otherwise.
func (s *Store) finishAgain(ctx context.Context, t *statements, o jobs.Outcome, settling bool) (verdict, error) {
	var fence int64
	ok, err := found(t.row(ctx, `SELECT fence FROM results WHERE execution_id = ?`, id(o.Task.Execution)).Scan(&fence))
	if err != nil {
		return verdict{}, err
	}
	v := verdict{repeated: true, more: settling}
	if !ok || fence != o.Task.Fence {
		v = verdict{err: jobs.ErrStale}
	}
	return v, recordCall(ctx, t, o.Task, o.Call)
}

// endWith writes the result and ends the first chunk of jobs with it.
func (s *Store) endWith(ctx context.Context, t *statements, e execution, r result) (verdict, error) {
	if err := insertResult(ctx, t, e, r); err != nil {
		return verdict{}, err
	}
	var err error
	if e.payer, err = e.payerAt(ctx, t, r.at); err != nil {
		return verdict{}, err
	}
	ended, more, err := s.endChunk(ctx, t, e, r.end())
	if err != nil {
		return verdict{}, err
	}
	if more {
		return verdict{ended: ended, more: true}, e.beginSettling(ctx, t)
	}
	return verdict{ended: ended}, e.remove(ctx, t)
}

// payerAt returns who pays when the execution ends: the next, if the payer's own
// deadline has passed and another's has not.
func (e execution) payerAt(ctx context.Context, t *statements, at int64) (uuid.UUID, error) {
	payer := e.payer
	_, err := found(t.row(ctx, `
		SELECT job_id FROM live_jobs WHERE execution_id = ? AND deadline > ?
		ORDER BY job_id <> ?, job_id LIMIT 1`,
		id(e.id), at, id(e.payer)).Scan(&payer))
	return payer, err
}

// leastChunk is how many jobs end in one transaction however many endpoints are told.
const leastChunk = 8

// chunkFor is how many jobs of a tenant end in one transaction: what is written is more
// by a delivery of each to each endpoint.
func (s *Store) chunkFor(ctx context.Context, t *statements, tenant string) (int, error) {
	var endpoints int
	err := t.row(ctx, `SELECT count(*) FROM webhook_endpoints WHERE tenant = ?`, tenant).Scan(&endpoints)
	return min(s.chunk, max(s.chunk/(1+endpoints), leastChunk)), err
}

// endChunk ends up to a chunk of the execution's jobs, in the order of their
// ids, each as its own deadline shapes it, and reports whether any are left.
func (s *Store) endChunk(
	ctx context.Context, t *statements, e execution, usual end,
) (ended []uuid.UUID, more bool, err error) {
	type liveJob struct {
		id                   uuid.UUID
		deadline, staleAfter int64
	}
	most, err := s.chunkFor(ctx, t, e.tenant)
	if err != nil {
		return nil, false, err
	}
	chunk, err := all(ctx, t, func(row scanner) (j liveJob, err error) {
		return j, row.Scan(&j.id, &j.deadline, &j.staleAfter)
	}, `SELECT job_id, deadline, stale_after FROM live_jobs WHERE execution_id = ? ORDER BY job_id LIMIT +?`,
		id(e.id), most+1)
	if err != nil {
		return nil, false, err
	}
	if more = len(chunk) > most; more {
		chunk = chunk[:most]
	}
	for _, j := range chunk {
		how := usual
		how.staleAfter = j.staleAfter
		if j.deadline <= how.at {
			how.status, how.failure, how.degraded = jobs.StatusExpired, failureExpired, false
		}
		if how.cost, err = e.costOf(ctx, t, j.id); err != nil {
			return nil, false, err
		}
		if err := e.endJob(ctx, t, j.id, how); err != nil {
			return nil, false, err
		}
		ended = append(ended, j.id)
	}
	return ended, more, nil
}

// costOf returns what the execution costs the job: the payer everything that is
// known to have been spent, the others nothing.
func (e execution) costOf(ctx context.Context, t *statements, job uuid.UUID) (*jobs.USD, error) {
	if job != e.payer {
		return new(jobs.USD), nil
	}
	return spent(ctx, t, e.id)
}

// endedBy lists the jobs that the execution's result ended.
func (s *Store) endedBy(ctx context.Context, execution uuid.UUID) ([]uuid.UUID, error) {
	return read(ctx, s, "list the ended jobs", func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
		return all(ctx, q, scanID, `
			SELECT j.id FROM jobs j JOIN results r ON r.execution_id = j.execution_id
			WHERE j.execution_id = ? AND j.finished_at = r.finished_at
				AND (NOT j.cached AND j.status IN ('succeeded', 'failed', 'expired') OR j.answer_of IS NOT NULL)
			ORDER BY j.id`, id(execution))
	})
}

func scanID(row scanner) (uuid.UUID, error) {
	var u uuid.UUID
	return u, row.Scan(&u)
}
