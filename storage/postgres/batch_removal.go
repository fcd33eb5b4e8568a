package postgres

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// removedAtOnce is how many lines one transaction removes.
const removedAtOnce = 5000

// DeleteBatch removes a batch: see [batches.BatchStore]. Its lines go at once or, if this
// is interrupted, in Maintain.
func (s *Store) DeleteBatch(ctx context.Context, tenant string, id uuid.UUID) error {
	err := s.write(ctx, "delete a batch", func(ctx context.Context, t *txn) error {
		b, err := lockBatch(ctx, t, tenant, id)
		if err != nil {
			return err
		}
		if !b.Status.Terminal() {
			return batches.ErrNotEnded
		}
		removeFilesOf(t, b)
		removeLater(t, id)
		t.exec(`DELETE FROM batches WHERE id = $1`, id)
		return nil
	})
	if err == nil {
		_ = s.removeLines(ctx, id) // what is left Maintain removes
	}
	return err
}

// removeLater queues the note that the lines of a batch are to be removed.
func removeLater(t *txn, batch uuid.UUID) {
	t.exec(`INSERT INTO batch_removals (batch_id) VALUES ($1) ON CONFLICT (batch_id) DO NOTHING`, batch)
}

// removeLines removes the lines of a batch, and then the note that they are to be.
func (s *Store) removeLines(ctx context.Context, batch uuid.UUID) error {
	var last int
	err := s.bounded(ctx, "see how many lines are to be removed", func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, `SELECT coalesce(max(n), 0) FROM batch_lines WHERE batch_id = $1`, batch).Scan(&last)
	})
	for after := 0; err == nil && after < last; after += removedAtOnce {
		err = s.write(ctx, "remove lines", func(_ context.Context, t *txn) error {
			t.exec(`DELETE FROM batch_lines WHERE batch_id = $1 AND n > $2 AND n <= $3`, batch, after, after+removedAtOnce)
			return nil
		})
	}
	if err != nil {
		return err
	}
	return s.write(ctx, "note that lines are removed", func(_ context.Context, t *txn) error {
		t.exec(`DELETE FROM batch_removals WHERE batch_id = $1`, batch)
		return nil
	})
}

// removeRest removes the lines that an interrupted removal left.
func (s *Store) removeRest(ctx context.Context) error {
	left, err := s.idsBy(ctx, `SELECT batch_id FROM batch_removals`)
	for _, batch := range left {
		err = errors.Join(err, s.removeLines(ctx, batch))
	}
	return err
}

// retainBatches deletes the batches that are past their retention.
func (s *Store) retainBatches(ctx context.Context, r jobs.Retention, now time.Time) error {
	for _, tenant := range slices.Sorted(maps.Keys(r.Tenants)) {
		if err := s.deleteBatchesBefore(ctx, tenant, now.Add(-r.Tenants[tenant])); err != nil {
			return err
		}
	}
	if r.Default == 0 {
		return nil
	}
	return s.deleteBatchesBefore(ctx, "", now.Add(-r.Default))
}

// oldBatch is a batch that is past its retention.
type oldBatch struct {
	id     uuid.UUID
	tenant string
}

// deleteBatchesBefore deletes the ended batches of a tenant, or of all for the empty one,
// that were made before the given time.
func (s *Store) deleteBatchesBefore(ctx context.Context, tenant string, before time.Time) error {
	const (
		ofAll = `SELECT id, tenant FROM batches WHERE id > $1 AND id < $2 AND ended_at IS NOT NULL ORDER BY id LIMIT $3`
		ofOne = `
			SELECT id, tenant FROM batches WHERE id > $1 AND id < $2 AND ended_at IS NOT NULL AND tenant = $4
			ORDER BY id LIMIT $3`
	)
	sql, args := ofAll, []any{uuid.Nil, floorID(before), retainAtOnce}
	if tenant != "" {
		sql, args = ofOne, append(args, tenant)
	}
	for {
		var list []oldBatch
		err := s.write(ctx, "list batches past their retention", func(_ context.Context, t *txn) error {
			list = nil
			t.each(func(rows pgx.Rows) error {
				var b oldBatch
				err := rows.Scan(&b.id, &b.tenant)
				list = append(list, b)
				return err
			}, sql, args...)
			return nil
		})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, b := range list {
			err := s.DeleteBatch(ctx, b.tenant, b.id)
			if err != nil && !errors.Is(err, jobs.ErrNotFound) && !errors.Is(err, batches.ErrNotEnded) {
				return err
			}
		}
		args[0] = list[len(list)-1].id
	}
}
