package sqlite

import (
	"context"
	"errors"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

// Reschedule gives the execution back: see [jobs.RunStore].
func (s *Store) Reschedule(ctx context.Context, r jobs.Rescheduling) error {
	v, err := change(ctx, s, "reschedule", func(ctx context.Context, t *statements) (verdict, error) {
		if err := recordCall(ctx, t, r.Task, r.Call); err != nil {
			return verdict{}, err
		}
		released, err := t.exec(ctx, `DELETE FROM releases WHERE execution_id = ? AND fence = ?`,
			id(r.Task.Execution), r.Task.Fence)
		if err != nil {
			return verdict{}, err
		}
		if released == 0 {
			return verdict{err: jobs.ErrStale}, nil
		}
		_, err = t.exec(ctx, `
			UPDATE queue SET visible_at = ?1, parked_until = CASE WHEN ?1 > ?7 THEN ?1 ELSE 0 END,
				waiting_on = ?2, tries = tries + ?3, target = ?4,
				provider = CASE WHEN ?5 = '' THEN provider ELSE ?5 END
			WHERE id = ?6`,
			micros(r.RunAt), string(r.WaitingOn), r.Tries, r.Target, r.Call.Provider, id(r.Task.Execution),
			micros(time.Now()))
		return verdict{}, err
	})
	return errors.Join(err, v.err)
}
