package sqlite

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
)

var _ files.Store = (*Store)(nil)

// CreateFile keeps a file: see [files.Catalog].
func (s *Store) CreateFile(ctx context.Context, f files.File) error {
	_, err := change(ctx, s, "keep a file", func(ctx context.Context, t *statements) (struct{}, error) {
		return struct{}{}, insertFile(ctx, t, f)
	})
	return err
}

func insertFile(ctx context.Context, t *statements, f files.File) error {
	_, err := t.exec(ctx, `
		INSERT INTO files (id, tenant, purpose, name, bytes, status, bucket, batch_id, created_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id(f.ID), f.Tenant, string(f.Purpose), f.Name, f.Bytes, string(f.Status), f.Bucket, idOrNull(f.Batch),
		micros(f.CreatedAt), micros(f.ExpiresAt))
	return err
}

// FinishFile says that an upload is whole: see [files.Catalog].
func (s *Store) FinishFile(ctx context.Context, tenant string, file uuid.UUID, bytes int64, expires time.Time) error {
	return s.changeFile(ctx, "finish a file", `
		UPDATE files SET status = 'uploaded', bytes = ?3, expires_at = CASE ?4 WHEN 0 THEN expires_at ELSE ?4 END
		WHERE id = ?1 AND tenant = ?2 AND (status = 'uploading' OR status = 'uploaded' AND bytes = ?3)`,
		id(file), tenant, bytes, micros(expires))
}

// changeFile runs a statement that is about one file, or answers [files.ErrNotFound].
func (s *Store) changeFile(ctx context.Context, doing, statement string, args ...any) error {
	_, err := change(ctx, s, doing, func(ctx context.Context, t *statements) (struct{}, error) {
		n, err := t.exec(ctx, statement, args...)
		if err == nil && n == 0 {
			err = files.ErrNotFound
		}
		return struct{}{}, err
	})
	return err
}

const fileColumns = `id, tenant, purpose, name, bytes, status, bucket, batch_id, created_at, expires_at`

func scanFile(row scanner) (f files.File, err error) {
	var batch uuid.NullUUID
	var created, expires int64
	err = row.Scan(&f.ID, &f.Tenant, &f.Purpose, &f.Name, &f.Bytes, &f.Status, &f.Bucket, &batch, &created, &expires)
	f.Batch, f.CreatedAt, f.ExpiresAt = batch.UUID, when(created), when(expires)
	return f, err
}

// File returns a file: see [files.Catalog].
func (s *Store) File(ctx context.Context, tenant string, file uuid.UUID, now time.Time) (files.File, error) {
	return read(ctx, s, "read a file", func(ctx context.Context, q *statements) (files.File, error) {
		f, err := scanFile(q.row(ctx, `SELECT `+fileColumns+` FROM files WHERE id = ? AND tenant = ? AND `+isTold,
			id(file), tenant, micros(now)))
		if ok, err := found(err); !ok {
			return files.File{}, orNotThere(err)
		}
		return f, err
	})
}

// isTold says of a file that it is whole and has not expired.
const isTold = `status = 'uploaded' AND (expires_at = 0 OR expires_at > ?)`

// orNotThere is err, or [files.ErrNotFound] if that is nil.
func orNotThere(err error) error {
	if err == nil {
		return files.ErrNotFound
	}
	return err
}

// Files lists files: see [files.Catalog].
func (s *Store) Files(ctx context.Context, q files.Query, now time.Time) ([]files.File, error) {
	text, args := filesQuery(q, now)
	return read(ctx, s, "list files", func(ctx context.Context, r *statements) ([]files.File, error) {
		return all(ctx, r, scanFile, text, args...)
	})
}

func filesQuery(q files.Query, now time.Time) (text string, args []any) {
	terms, args := []string{"tenant = ?", isTold}, []any{q.Tenant, micros(now)}
	add := func(term string, arg any) {
		terms, args = append(terms, term), append(args, arg)
	}
	order, beyond := " ORDER BY id DESC", "id < ?"
	if q.Ascending {
		order, beyond = " ORDER BY id", "id > ?"
	}
	if q.Purpose != "" {
		add("purpose = ?", string(q.Purpose))
	}
	if q.After != uuid.Nil {
		add(beyond, id(q.After))
	}
	return `SELECT ` + fileColumns + ` FROM files WHERE ` + strings.Join(terms, " AND ") + order + ` LIMIT +?`,
		append(args, q.Limit)
}

// DeleteFile removes a file: see [files.Catalog].
func (s *Store) DeleteFile(ctx context.Context, tenant string, file uuid.UUID) error {
	_, err := change(ctx, s, "delete a file", func(ctx context.Context, t *statements) (struct{}, error) {
		n, err := t.exec(ctx, `
			UPDATE files SET status = 'removed' WHERE id = ? AND tenant = ? AND status <> 'removed' AND NOT `+isInput, id(file), tenant)
		if err != nil || n == 1 {
			return struct{}{}, err
		}
		there, err := exists(ctx, t, `SELECT 1 FROM files WHERE id = ? AND tenant = ? AND status <> 'removed'`, id(file), tenant)
		if err == nil && there {
			err = files.ErrInUse
		}
		return struct{}{}, orNotThere(err)
	})
	return err
}

// isInput says of a file that a batch that has not ended reads it.
const isInput = `EXISTS (SELECT 1 FROM batches b WHERE b.input_file = files.id AND b.ended_at = 0)`

// PutChunk keeps a chunk: see [files.Chunks].
func (s *Store) PutChunk(ctx context.Context, c files.Chunk) error {
	return s.changeFile(ctx, "keep a chunk of a file", `
		INSERT INTO file_chunks (file_id, n, key_id, data)
		SELECT id, ?3, ?4, ?5 FROM files WHERE id = ?1 AND tenant = ?2 AND status = 'uploading'
		ON CONFLICT (file_id, n) DO UPDATE SET key_id = excluded.key_id, data = excluded.data`,
		id(c.File), c.Tenant, c.N, idOrNull(c.KeyID), c.Data)
}

// Chunk returns a chunk: see [files.Chunks].
func (s *Store) Chunk(ctx context.Context, tenant string, file uuid.UUID, n int) ([]byte, error) {
	return read(ctx, s, "read a chunk of a file", func(ctx context.Context, q *statements) (data []byte, err error) {
		err = q.row(ctx, `
			SELECT c.data FROM files f CROSS JOIN file_chunks c ON c.file_id = f.id
			WHERE f.id = ? AND f.tenant = ? AND f.status <> 'removed' AND c.n = ?`, id(file), tenant, n).Scan(&data)
		if ok, err := found(err); !ok {
			return nil, orNotThere(err)
		}
		return data, err
	})
}
