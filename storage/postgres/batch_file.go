package postgres

import (
	"time"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
)

// restoreFile queues that a file of a batch does not expire any more, or is there again if
// it has.
func restoreFile(t *txn, f files.File) {
	t.exec(`
		INSERT INTO files (id, tenant, purpose, name, bytes, status, bucket, batch_id, created_at)
		VALUES ($1, $2, $3, $4, 0, 'uploaded', false, $5, $6)
		ON CONFLICT (id) DO UPDATE SET status = 'uploaded', expires_at = NULL`,
		f.ID, f.Tenant, string(f.Purpose), f.Name, f.Batch, f.CreatedAt)
}

// expireFiles queues when the files of a batch that has ended expire.
func expireFiles(t *txn, b batches.Batch, ended time.Time) {
	if b.OutputTTL > 0 {
		t.exec(`UPDATE files SET expires_at = $3 WHERE id IN ($1, $2) AND status = 'uploaded'`,
			b.Output, b.Errors, ended.Add(b.OutputTTL))
	}
}

// removeFilesOf queues the removal of the files of a batch.
func removeFilesOf(t *txn, b batches.Batch) {
	t.exec(`UPDATE files SET status = 'removed' WHERE id IN ($1, $2) AND status <> 'removed'`, b.Output, b.Errors)
}
