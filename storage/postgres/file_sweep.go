package postgres

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
)

// chunksAtOnce is how many chunks of removed files one transaction drops.
const chunksAtOnce = 64

// SweepFiles removes files that are past their time: see [files.Catalog]. Several may
// sweep at once: what one has locked, others leave to it.
func (s *Store) SweepFiles(ctx context.Context, w files.Sweep) (inBucket []uuid.UUID, more bool, err error) {
	for _, kind := range goneKinds(w) {
		n, err := s.removeFiles(ctx, kind, w.Limit)
		if err != nil {
			return nil, false, err
		}
		more = more || n == w.Limit
	}
	if err := s.dropChunks(ctx, w.Limit); err != nil {
		return nil, false, err
	}
	inBucket, err = s.idsBy(ctx, `SELECT id FROM files WHERE status = 'removed' AND bucket ORDER BY id LIMIT $1`, w.Limit)
	return inBucket, more || len(inBucket) == w.Limit, err
}

// goneKind selects files that are to go, in an order.
type goneKind struct {
	where, order string
	args         []any
}

func goneKinds(w files.Sweep) []goneKind {
	kinds := []goneKind{
		{`f.expires_at <= $1 AND f.status <> 'removed'`, `f.expires_at`, []any{w.Now}},
		{`f.id < $1 AND f.status = 'uploading'`, `f.id`, []any{floorID(w.Abandoned)}},
	}
	older := func(keep time.Duration) uuid.UUID { return floorID(w.Now.Add(-keep)) }
	for _, tenant := range slices.Sorted(maps.Keys(w.Retention.Tenants)) {
		kinds = append(kinds, goneKind{
			`f.tenant = $1 AND f.id < $2 AND f.status = 'uploaded'`, `f.id`, []any{tenant, older(w.Retention.Tenants[tenant])},
		})
	}
	if w.Retention.Default > 0 {
		kinds = append(kinds, goneKind{`f.id < $1 AND f.status = 'uploaded'`, `f.id`, []any{older(w.Retention.Default)}})
	}
	return kinds
}

// isFree says of a file f that no batch that has not ended reads it, or answers in it.
const isFree = `NOT EXISTS (SELECT FROM batches b WHERE b.reads = f.id)
	AND NOT EXISTS (SELECT FROM batches b WHERE b.open = f.batch_id)`

// removeFiles removes up to limit files of a kind that no batch needs. It returns of how
// many it thought so: once they are locked it looks again.
func (s *Store) removeFiles(ctx context.Context, kind goneKind, limit int) (int, error) {
	var ids []uuid.UUID
	err := s.write(ctx, "remove files", func(ctx context.Context, t *txn) error {
		ids = nil
		t.each(appendID(&ids), kind.query(), append(slices.Clone(kind.args), limit)...)
		if err := t.flush(ctx); err != nil {
			return err
		}
		t.exec(`UPDATE files f SET status = 'removed' WHERE f.id = ANY ($1::uuid[]) AND `+isFree, ids)
		return nil
	})
	return len(ids), err
}

func (k goneKind) query() string {
	return fmt.Sprintf(`SELECT f.id FROM files f WHERE %s AND %s ORDER BY %s LIMIT $%d FOR UPDATE OF f SKIP LOCKED`,
		k.where, isFree, k.order, len(k.args)+1)
}

// dropChunks drops the chunks of removed files that are in the store, and up to limit of
// these files at a time.
func (s *Store) dropChunks(ctx context.Context, limit int) error {
	const chunks = `
		DELETE FROM file_chunks WHERE ctid = ANY (ARRAY (
			SELECT c.ctid FROM files f JOIN file_chunks c ON c.file_id = f.id
			WHERE f.status = 'removed' AND NOT f.bucket LIMIT $1 FOR UPDATE OF c SKIP LOCKED))`
	const rows = `
		DELETE FROM files WHERE id = ANY (ARRAY (
			SELECT f.id FROM files f WHERE f.status = 'removed' AND NOT f.bucket
				AND NOT EXISTS (SELECT FROM file_chunks c WHERE c.file_id = f.id)
			LIMIT $1 FOR UPDATE SKIP LOCKED))`
	for _, step := range []struct {
		sql    string
		atOnce int
	}{{chunks, chunksAtOnce}, {rows, limit}} {
		for {
			n, err := s.sweepSome(ctx, step.sql, step.atOnce)
			if err != nil {
				return err
			}
			if n < step.atOnce {
				break
			}
		}
	}
	return nil
}

// ForgetFiles forgets removed files: see [files.Catalog].
func (s *Store) ForgetFiles(ctx context.Context, ids []uuid.UUID) error {
	_, err := s.sweepSome(ctx, `DELETE FROM files WHERE id = ANY ($1::uuid[]) AND status = 'removed' AND bucket`, ids)
	return err
}
