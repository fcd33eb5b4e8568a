package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/tenantkey"
)

// maxErased is how many executions one transaction of an erasure ends.
const maxErased = 100

// Erase forgets a tenant's keys: see [tenantkey.Store]. A key that was made
// while executions were being ended may have sealed the answer of one of them:
// it goes as well.
func (s *Store) Erase(
	ctx context.Context, tenant string, at time.Time, why jobs.JobError,
) (erased tenantkey.Erased, err error) {
	if erased.Before, err = s.countErased(ctx, tenant); err != nil {
		return erased, err
	}
	for range 2 {
		n, err := s.eraseKeys(ctx, tenant, at)
		if err != nil {
			return erased, err
		}
		erased.Keys += n
		if err := s.endUnreadable(ctx, tenant, at, why, &erased); err != nil {
			return erased, err
		}
	}
	return erased, nil
}

func (s *Store) countErased(ctx context.Context, tenant string) (int, error) {
	return read(ctx, s, "count a tenant's erased keys", func(ctx context.Context, q *statements) (n int, err error) {
		err = q.row(ctx, `SELECT count(*) FROM tenant_keys WHERE tenant = ? AND erased_at > 0`, tenant).Scan(&n)
		return n, err
	})
}

// eraseKeys overwrites keys where they stood. What the log holds of them goes
// when the file is closed.
func (s *Store) eraseKeys(ctx context.Context, tenant string, at time.Time) (int, error) {
	n, err := change(ctx, s, "erase a tenant's keys", func(ctx context.Context, t *statements) (int64, error) {
		if err := t.script(ctx, `PRAGMA secure_delete = ON`); err != nil {
			return 0, err
		}
		return t.exec(ctx, `
			UPDATE tenant_keys SET wrapped = x'', erased_at = ?1,
				retired_at = CASE retired_at WHEN 0 THEN ?1 ELSE retired_at END
			WHERE tenant = ?2 AND erased_at = 0`, micros(at), tenant)
	})
	return int(n), err
}

// unreadable is what one transaction ended, the executions in the order of
// their ids.
type unreadable struct {
	executions []uuid.UUID
	ended      []uuid.UUID
	unsettled  []uuid.UUID
}

// endUnreadable ends the tenant's live executions whose request was sealed with
// an erased key.
func (s *Store) endUnreadable(
	ctx context.Context, tenant string, at time.Time, why jobs.JobError, erased *tenantkey.Erased,
) error {
	for after := uuid.Nil; ; {
		got, err := change(ctx, s, "end what was erased", func(ctx context.Context, t *statements) (unreadable, error) {
			return s.endSomeUnreadable(ctx, t, tenant, after, at, why)
		})
		if err != nil {
			return err
		}
		erased.Executions += len(got.executions)
		erased.Ended = append(erased.Ended, got.ended...)
		for _, execution := range got.unsettled {
			if err := s.settleRest(ctx, execution, &erased.Ended); err != nil {
				return err
			}
		}
		if len(got.executions) < maxErased {
			return nil
		}
		after = got.executions[maxErased-1]
	}
}

func (s *Store) endSomeUnreadable(
	ctx context.Context, t *statements, tenant string, after uuid.UUID, at time.Time, why jobs.JobError,
) (got unreadable, err error) {
	got.executions, err = all(ctx, t, scanID, `
		SELECT q.id FROM queue q
		CROSS JOIN requests req ON req.execution_id = q.id
		CROSS JOIN tenant_keys k ON k.id = req.key_id
		WHERE q.id > ? AND q.tenant = ? AND NOT q.settling AND k.erased_at > 0
		ORDER BY q.id LIMIT +?`, id(after), tenant, maxErased)
	if err != nil {
		return got, err
	}
	for _, executionID := range got.executions {
		e, _, err := executionByID(ctx, t, executionID)
		if err != nil {
			return got, err
		}
		v, err := s.endWith(ctx, t, e, refused(e, why, micros(at)))
		if err != nil {
			return got, err
		}
		got.ended = append(got.ended, v.ended...)
		if v.more {
			got.unsettled = append(got.unsettled, e.id)
		}
	}
	return got, nil
}
