package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/penstock-dev/penstock/files"
)

var _ files.Store = (*Store)(nil)

// CreateFile keeps a file: see [files.Catalog].
func (s *Store) CreateFile(ctx context.Context, f files.File) error {
	return s.write(ctx, "keep a file", func(_ context.Context, t *txn) error {
		insertFile(t, f)
		return nil
	})
}

// insertFile queues the insertion of a file.
func insertFile(t *txn, f files.File) {
	t.exec(`
		INSERT INTO files (id, tenant, purpose, name, bytes, status, bucket, batch_id, created_at, expires_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		f.ID, f.Tenant, string(f.Purpose), f.Name, f.Bytes, string(f.Status), f.Bucket, orNull(f.Batch), f.CreatedAt, when(f.ExpiresAt))
}

// FinishFile says that an upload is whole: see [files.Catalog].
func (s *Store) FinishFile(ctx context.Context, tenant string, id uuid.UUID, bytes int64, expires time.Time) error {
	return s.changeFile(ctx, "finish a file", `
		UPDATE files SET status = 'uploaded', bytes = $3, expires_at = coalesce($4, expires_at)
		WHERE id = $1 AND tenant = $2 AND (status = 'uploading' OR status = 'uploaded' AND bytes = $3)`,
		id, tenant, bytes, when(expires))
}

// changeFile runs a statement that is about one file, or answers [files.ErrNotFound].
func (s *Store) changeFile(ctx context.Context, doing, statement string, args ...any) error {
	return s.bounded(ctx, doing, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, statement, args...)
		if err == nil && tag.RowsAffected() == 0 {
			return files.ErrNotFound
		}
		return err
	})
}

const fileColumns = `id, tenant, purpose, name, bytes, status, bucket, batch_id, created_at, expires_at`

func scanFile(row pgx.CollectableRow) (f files.File, err error) {
	var batch *uuid.UUID
	var expires *time.Time
	err = row.Scan(&f.ID, &f.Tenant, &f.Purpose, &f.Name, &f.Bytes, &f.Status, &f.Bucket, &batch, &f.CreatedAt, &expires)
	f.Batch, f.ExpiresAt = orZero(batch), orZero(expires)
	return f, err
}

// File returns a file: see [files.Catalog].
func (s *Store) File(ctx context.Context, tenant string, id uuid.UUID, now time.Time) (files.File, error) {
	list, err := s.filesBy(ctx, "read a file",
		`SELECT `+fileColumns+` FROM files WHERE id = $1 AND tenant = $2 AND status = 'uploaded' AND `+notExpired("$3"), id, tenant, now)
	if err != nil {
		return files.File{}, err
	}
	if len(list) == 0 {
		return files.File{}, files.ErrNotFound
	}
	return list[0], nil
}

func (s *Store) filesBy(ctx context.Context, doing, sql string, args ...any) (list []files.File, err error) {
	err = s.bounded(ctx, doing, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		list, err = pgx.CollectRows(rows, scanFile)
		return err
	})
	return list, err
}

func notExpired(now string) string { return `(expires_at IS NULL OR expires_at > ` + now + `)` }

// Files lists files: see [files.Catalog].
func (s *Store) Files(ctx context.Context, q files.Query, now time.Time) ([]files.File, error) {
	sql, args := filesQuery(q, now)
	return s.filesBy(ctx, "list files", sql, args...)
}

// filesQuery has a term for each field that is set, as listQuery has.
func filesQuery(q files.Query, now time.Time) (sql string, args []any) {
	c := conditions{terms: []string{"status = 'uploaded'"}}
	c.add("tenant = $", q.Tenant)
	c.add(notExpired("$"), now)
	order, beyond := " ORDER BY id DESC", "id < $"
	if q.Ascending {
		order, beyond = " ORDER BY id", "id > $"
	}
	if q.Purpose != "" {
		c.add("purpose = $", string(q.Purpose))
	}
	if q.After != uuid.Nil {
		c.add(beyond, q.After)
	}
	args = append(c.args, q.Limit)
	return fmt.Sprintf(`SELECT %s FROM files WHERE %s%s LIMIT $%d`, fileColumns, strings.Join(c.terms, " AND "), order, len(args)), args
}

// DeleteFile removes a file: see [files.Catalog]. Once the file is locked no batch of it is
// made; the statement after that sees those that were.
func (s *Store) DeleteFile(ctx context.Context, tenant string, id uuid.UUID) error {
	return s.write(ctx, "delete a file", func(ctx context.Context, t *txn) error {
		var there, inUse int
		t.count(&there, `SELECT FROM files WHERE id = $1 AND tenant = $2 AND status <> 'removed' FOR UPDATE`, id, tenant)
		t.count(&inUse, `SELECT FROM batches WHERE reads = $1 LIMIT 1`, id)
		if err := t.flush(ctx); err != nil {
			return err
		}
		switch {
		case there == 0:
			return files.ErrNotFound
		case inUse > 0:
			return files.ErrInUse
		}
		t.exec(`UPDATE files SET status = 'removed' WHERE id = $1`, id)
		return nil
	})
}

// PutChunk keeps a chunk: see [files.Chunks]. The lock keeps a sweep from removing the
// file meanwhile.
func (s *Store) PutChunk(ctx context.Context, c files.Chunk) error {
	return s.changeFile(ctx, "keep a chunk of a file", `
		INSERT INTO file_chunks (file_id, n, key_id, data)
		SELECT id, $3, $4, $5 FROM files WHERE id = $1 AND tenant = $2 AND status = 'uploading' FOR SHARE
		ON CONFLICT (file_id, n) DO UPDATE SET key_id = excluded.key_id, data = excluded.data`,
		c.File, c.Tenant, c.N, orNull(c.KeyID), c.Data)
}

// Chunk returns a chunk: see [files.Chunks].
func (s *Store) Chunk(ctx context.Context, tenant string, file uuid.UUID, n int) (data []byte, err error) {
	const query = `
		SELECT c.data FROM files f JOIN file_chunks c ON c.file_id = f.id
		WHERE f.id = $1 AND f.tenant = $2 AND f.status <> 'removed' AND c.file_id = $1 AND c.n = $3`
	err = s.bounded(ctx, "read a chunk of a file", func(ctx context.Context) error {
		err := s.pool.QueryRow(ctx, query, file, tenant, n).Scan(&data)
		if errors.Is(err, pgx.ErrNoRows) {
			return files.ErrNotFound
		}
		return err
	})
	return data, err
}
