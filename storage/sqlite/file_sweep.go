package sqlite

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
)

// chunksAtOnce is how many chunks of removed files one transaction drops: few, so that
// other writes come in between.
const chunksAtOnce = 16

// SweepFiles removes files that are past their time: see [files.Catalog].
func (s *Store) SweepFiles(ctx context.Context, w files.Sweep) (inBucket []uuid.UUID, more bool, err error) {
	for _, kind := range goneKinds(w) {
		n, err := s.removeFiles(ctx, kind, w.Limit)
		if err != nil {
			return nil, false, err
		}
		more = more || n == w.Limit
	}
	if err := s.dropChunks(ctx); err != nil {
		return nil, false, err
	}
	inBucket, err = read(ctx, s, "list files in the bucket that were removed",
		func(ctx context.Context, q *statements) ([]uuid.UUID, error) {
			return all(ctx, q, scanID, `SELECT id FROM files WHERE status = 'removed' AND bucket = 1 ORDER BY id LIMIT +?`, w.Limit)
		})
	return inBucket, more || len(inBucket) == w.Limit, err
}

// goneKind selects files that are to go, in an order.
type goneKind struct {
	where, order string
	args         []any
}

func goneKinds(w files.Sweep) []goneKind {
	kinds := []goneKind{
		{`expires_at > 0 AND expires_at <= ? AND status <> 'removed'`, `expires_at`, []any{micros(w.Now)}},
		{`id < ? AND status = 'uploading'`, `id`, []any{id(floorID(w.Abandoned))}},
	}
	older := func(keep time.Duration) []byte { return id(floorID(w.Now.Add(-keep))) }
	for _, tenant := range slices.Sorted(maps.Keys(w.Retention.Tenants)) {
		kinds = append(kinds, goneKind{
			`tenant = ? AND id < ? AND status = 'uploaded'`, `id`, []any{tenant, older(w.Retention.Tenants[tenant])},
		})
	}
	if w.Retention.Default > 0 {
		kinds = append(kinds, goneKind{`id < ? AND status = 'uploaded'`, `id`, []any{older(w.Retention.Default)}})
	}
	return kinds
}

// removeFiles removes up to limit files of a kind that no batch needs. It returns how many.
func (s *Store) removeFiles(ctx context.Context, kind goneKind, limit int) (int, error) {
	const isAnswer = `EXISTS (SELECT 1 FROM batches b WHERE b.id = files.batch_id AND b.ended_at = 0)`
	return change(ctx, s, "remove files", func(ctx context.Context, t *statements) (int, error) {
		n, err := t.exec(ctx, `
			UPDATE files SET status = 'removed' WHERE id IN (
				SELECT id FROM files WHERE `+kind.where+` AND NOT `+isInput+` AND NOT `+isAnswer+`
				ORDER BY `+kind.order+` LIMIT +?)`, append(kind.args, limit)...)
		return int(n), err
	})
}

// dropChunks drops the chunks of removed files that are in the store, and these files.
func (s *Store) dropChunks(ctx context.Context) error {
	for {
		n, err := change(ctx, s, "drop chunks of removed files", func(ctx context.Context, t *statements) (int64, error) {
			n, err := t.exec(ctx, `
				DELETE FROM file_chunks WHERE rowid IN (
					SELECT c.rowid FROM files f CROSS JOIN file_chunks c ON c.file_id = f.id
					WHERE f.status = 'removed' AND f.bucket = 0 LIMIT +?)`, chunksAtOnce)
			if err != nil || n == chunksAtOnce {
				return n, err
			}
			_, err = t.exec(ctx, `DELETE FROM files WHERE status = 'removed' AND bucket = 0`)
			return n, err
		})
		if err != nil || n < chunksAtOnce {
			return err
		}
	}
}

// ForgetFiles forgets removed files: see [files.Catalog].
func (s *Store) ForgetFiles(ctx context.Context, ids []uuid.UUID) error {
	_, err := change(ctx, s, "forget files", func(ctx context.Context, t *statements) (struct{}, error) {
		for _, file := range ids {
			if _, err := t.exec(ctx, `DELETE FROM files WHERE id = ? AND status = 'removed' AND bucket = 1`, id(file)); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}
