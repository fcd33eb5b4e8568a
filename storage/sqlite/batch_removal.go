package sqlite

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
)

// removedAtOnce is how many lines one transaction removes: few, so that other writes
// come in between.
const removedAtOnce = 1000

// DeleteBatch removes a batch: see [batches.BatchStore]. Its lines go at once or, if this
// is interrupted, in Maintain.
func (s *Store) DeleteBatch(ctx context.Context, tenant string, batch uuid.UUID) error {
	_, err := change(ctx, s, "delete a batch", func(ctx context.Context, t *statements) (struct{}, error) {
		b, err := batchOf(ctx, t, tenant, batch)
		if err != nil {
			return struct{}{}, err
		}
		if !b.Status.Terminal() {
			return struct{}{}, batches.ErrNotEnded
		}
		if err := removeFilesOf(ctx, t, b); err != nil {
			return struct{}{}, err
		}
		if err := removeLater(ctx, t, batch); err != nil {
			return struct{}{}, err
		}
		_, err = t.exec(ctx, `DELETE FROM batches WHERE id = ?`, id(batch))
		return struct{}{}, err
	})
	if err == nil {
		_ = s.removeLines(ctx, batch) // what is left Maintain removes
	}
	return err
}

// removeLater notes that the lines of a batch are to be removed.
func removeLater(ctx context.Context, t *statements, batch uuid.UUID) error {
	_, err := t.exec(ctx, `INSERT INTO batch_removals (batch_id) VALUES (?) ON CONFLICT DO NOTHING`, id(batch))
	return err
}

// removeLines removes the lines of a batch, and then the note that they are to be.
func (s *Store) removeLines(ctx context.Context, batch uuid.UUID) error {
	last, err := read(ctx, s, "see how many lines are to be removed", func(ctx context.Context, q *statements) (n int, err error) {
		return n, q.row(ctx, `SELECT coalesce(max(n), 0) FROM batch_lines WHERE batch_id = ?`, id(batch)).Scan(&n)
	})
	for after := 0; err == nil && after < last; after += removedAtOnce {
		_, err = change(ctx, s, "remove lines", func(ctx context.Context, t *statements) (int64, error) {
			return t.exec(ctx, `DELETE FROM batch_lines WHERE batch_id = ? AND n > ? AND n <= ?`,
				id(batch), after, after+removedAtOnce)
		})
	}
	if err != nil {
		return err
	}
	_, err = change(ctx, s, "note that lines are removed", func(ctx context.Context, t *statements) (int64, error) {
		return t.exec(ctx, `DELETE FROM batch_removals WHERE batch_id = ?`, id(batch))
	})
	return err
}

// removeRest removes the lines that an interrupted removal left.
func (s *Store) removeRest(ctx context.Context) error {
	left, err := read(ctx, s, "list removed batches", func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
		return all(ctx, q, scanID, `SELECT batch_id FROM batch_removals`)
	})
	for _, batch := range left {
		if err := s.removeLines(ctx, batch); err != nil {
			return err
		}
	}
	return err
}

// deleteBatchesBefore deletes the ended batches of a tenant, or of all for the empty one,
// that were made before the given time.
func (s *Store) deleteBatchesBefore(ctx context.Context, tenant string, before time.Time) error {
	const (
		ofAll = `SELECT id, tenant FROM batches WHERE id > ?1 AND id < ?2 AND ended_at > 0 ORDER BY id LIMIT +?3`
		ofOne = `SELECT id, tenant FROM batches WHERE id > ?1 AND id < ?2 AND ended_at > 0 AND tenant = ?4 ORDER BY id LIMIT +?3`
	)
	query, args := ofAll, []any{id(uuid.Nil), id(floorID(before)), retainAtOnce}
	if tenant != "" {
		query, args = ofOne, append(args, tenant)
	}
	for {
		list, err := read(ctx, s, "list batches past their retention",
			func(ctx context.Context, q *statements) ([]expired, error) {
				return all(ctx, q, scanExpired, query, args...)
			})
		if err != nil || len(list) == 0 {
			return err
		}
		for _, b := range list {
			if err := s.DeleteBatch(ctx, b.tenant, b.id); err != nil && !isGone(err) {
				return err
			}
		}
		args[0] = id(list[len(list)-1].id)
	}
}
