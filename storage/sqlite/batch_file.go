package sqlite

import (
	"context"
	"time"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
)

// hasInput fails with [batches.ErrNoInput] unless the input of a new batch is there.
func hasInput(ctx context.Context, t *statements, b batches.Batch) error {
	ok, err := exists(ctx, t, `SELECT 1 FROM files WHERE id = ? AND tenant = ? AND purpose = 'batch' AND `+isTold,
		id(b.Input), b.Tenant, micros(b.CreatedAt))
	if err == nil && !ok {
		return batches.ErrNoInput
	}
	return err
}

// restoreFile makes that a file of a batch does not expire any more, or is there again if
// it has.
func restoreFile(ctx context.Context, t *statements, f files.File) error {
	_, err := t.exec(ctx, `
		INSERT INTO files (id, tenant, purpose, name, bytes, status, bucket, batch_id, created_at, expires_at)
		VALUES (?, ?, ?, ?, 0, 'uploaded', 0, ?, ?, 0)
		ON CONFLICT (id) DO UPDATE SET status = 'uploaded', expires_at = 0`,
		id(f.ID), f.Tenant, string(f.Purpose), f.Name, id(f.Batch), micros(f.CreatedAt))
	return err
}

// expireFiles notes when the files of a batch that has ended expire.
func expireFiles(ctx context.Context, t *statements, b batches.Batch, ended time.Time) error {
	if b.OutputTTL == 0 {
		return nil
	}
	_, err := t.exec(ctx, `UPDATE files SET expires_at = ? WHERE id IN (?, ?) AND status = 'uploaded'`,
		micros(ended.Add(b.OutputTTL)), id(b.Output), id(b.Errors))
	return err
}

// removeFilesOf removes the files of a batch.
func removeFilesOf(ctx context.Context, t *statements, b batches.Batch) error {
	_, err := t.exec(ctx, `UPDATE files SET status = 'removed' WHERE id IN (?, ?) AND status <> 'removed'`,
		id(b.Output), id(b.Errors))
	return err
}
