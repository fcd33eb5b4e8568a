package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/tenantkey"
)

// maxErased is how many executions one transaction of an erasure ends.
const maxErased = 100

// Erase forgets a tenant's keys: see [tenantkey.Store]. A key that was made
// while executions were being ended may have sealed the answer of one of them:
// it goes as well. VACUUM then frees what the rows were, which need not succeed:
// the server does so by itself.
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
	_ = s.bounded(ctx, "vacuum erased keys", func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, `VACUUM tenant_keys`)
		return err
	})
	return erased, nil
}

func (s *Store) countErased(ctx context.Context, tenant string) (n int, err error) {
	const query = `SELECT count(*) FROM tenant_keys WHERE tenant = $1 AND erased_at IS NOT NULL`
	err = s.bounded(ctx, "count a tenant's erased keys", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, query, tenant).Scan(&n)
	})
	return n, err
}

func (s *Store) eraseKeys(ctx context.Context, tenant string, at time.Time) (n int, err error) {
	const update = `
		UPDATE tenant_keys SET wrapped = '', erased_at = $1, retired_at = coalesce(retired_at, $1)
		WHERE tenant = $2 AND erased_at IS NULL`
	err = s.bounded(ctx, "erase a tenant's keys", func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, update, at, tenant)
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}

// endUnreadable ends the tenant's live executions whose request was sealed with
// an erased key.
func (s *Store) endUnreadable(
	ctx context.Context, tenant string, at time.Time, why jobs.JobError, erased *tenantkey.Erased,
) error {
	for after := uuid.Nil; ; {
		ids, err := s.listUnreadable(ctx, tenant, after)
		if err != nil || len(ids) == 0 {
			return err
		}
		after = ids[len(ids)-1]
		var endings []*ending
		err = s.write(ctx, "end what was erased", func(ctx context.Context, t *txn) (err error) {
			endings, err = s.refuse(ctx, t, ids, why, at)
			return err
		})
		if err != nil {
			return err
		}
		if err := s.settleErased(ctx, endings, erased); err != nil {
			return err
		}
	}
}

func (s *Store) settleErased(ctx context.Context, endings []*ending, erased *tenantkey.Erased) error {
	for _, e := range endings {
		erased.Executions++
		erased.Ended = append(erased.Ended, e.jobIDs()...)
		if !e.more {
			continue
		}
		rest, err := s.settleRest(ctx, e.id)
		if err != nil {
			return err
		}
		erased.Ended = append(erased.Ended, rest...)
	}
	return nil
}

func (s *Store) listUnreadable(ctx context.Context, tenant string, after uuid.UUID) (ids []uuid.UUID, err error) {
	const query = `
		SELECT q.id FROM queue q
		CROSS JOIN LATERAL (SELECT r.key_id FROM requests r WHERE r.execution_id = q.id OFFSET 0) r
		JOIN tenant_keys k ON k.id = r.key_id
		WHERE q.tenant = $1 AND q.id > $2 AND NOT q.settling AND k.erased_at IS NOT NULL
		ORDER BY q.id LIMIT $3`
	err = s.bounded(ctx, "list what was erased", func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, query, tenant, after, maxErased)
		if err != nil {
			return err
		}
		ids, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
		return err
	})
	return ids, err
}

// refuse ends executions as failed. No worker brought that result: one that
// comes back with an answer is stale.
func (s *Store) refuse(
	ctx context.Context, t *txn, ids []uuid.UUID, why jobs.JobError, at time.Time,
) ([]*ending, error) {
	states, err := s.lockStates(ctx, t, ids)
	if err != nil {
		return nil, err
	}
	var endings []*ending
	for _, state := range states {
		if state.live && !state.settling {
			endings = append(endings, &ending{
				executionState: state, status: jobs.StatusFailed, err: &why, at: at, allTries: state.tries,
			})
		}
	}
	return endings, writeEndings(ctx, t, endings)
}
