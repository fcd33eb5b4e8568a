package sqlite

import (
	"context"
	"errors"

	"github.com/google/uuid"
)

// beginSettling marks an execution whose result is there but whose jobs have
// not all ended. Nobody attaches to it, releases it or expires its jobs; what
// is needed to end them stays in its row.
func (e execution) beginSettling(ctx context.Context, t *statements) error {
	if _, err := t.exec(ctx, `DELETE FROM releases WHERE execution_id = ?`, id(e.id)); err != nil {
		return err
	}
	_, err := t.exec(ctx, `
		UPDATE queue SET settling = 1, dedupe_key = ?, visible_at = ?, waiting_on = '', payer_job_id = ?, tries = ?, provider = ?
		WHERE id = ?`,
		e.id.String(), int64(never), id(e.payer), e.tries, e.provider, id(e.id))
	return err
}

// Settle continues what a Finish or Reclaim left: see [jobs.ControlStore].
func (s *Store) Settle(ctx context.Context) ([]uuid.UUID, error) {
	left, err := read(ctx, s, "list what is to settle", func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
		return all(ctx, q, scanID, `SELECT id FROM queue WHERE settling`)
	})
	if err != nil {
		return nil, err
	}
	var ended []uuid.UUID
	var failed error // one that cannot be settled is no reason to leave the others
	for _, execution := range left {
		err := s.settle(ctx, execution, &ended)
		failed = errors.Join(failed, err)
		if isUnavailable(err) {
			break
		}
	}
	return ended, failed
}

// settleRest ends what the first chunk left of an execution.
func (s *Store) settleRest(ctx context.Context, execution uuid.UUID, ended *[]uuid.UUID) error {
	if err := s.died(); err != nil {
		return err
	}
	return s.settle(ctx, execution, ended)
}

// settle ends the jobs of a settling execution, a chunk at a time, so that
// other writes come in between.
func (s *Store) settle(ctx context.Context, execution uuid.UUID, ended *[]uuid.UUID) error {
	for more := true; more; {
		v, err := change(ctx, s, "settle", func(ctx context.Context, t *statements) (verdict, error) {
			return s.settleChunk(ctx, t, execution)
		})
		if err != nil {
			return err
		}
		*ended, more = append(*ended, v.ended...), v.more
	}
	return nil
}

func (s *Store) settleChunk(ctx context.Context, t *statements, executionID uuid.UUID) (verdict, error) {
	e, ok, err := executionByID(ctx, t, executionID)
	if err != nil || !ok || !e.settling {
		return verdict{}, err
	}
	var r result
	err = t.row(ctx, `SELECT status, finished_at, degraded FROM results WHERE execution_id = ?`, id(e.id)).
		Scan(&r.status, &r.at, &r.degraded)
	if err != nil {
		return verdict{}, errors.Join(errors.New("read the result to settle with"), err)
	}
	ended, more, err := s.endChunk(ctx, t, e, r.end())
	if err != nil || more {
		return verdict{ended: ended, more: more}, err
	}
	return verdict{ended: ended}, e.remove(ctx, t)
}
