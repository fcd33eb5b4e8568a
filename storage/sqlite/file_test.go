package sqlite

import (
	"context"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/files"
)

// Of a file that was removed a sweep leaves nothing in the store, however large it was.
func TestASweepLeavesNoChunk(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{Path: newPath(t)})
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := time.Now().UTC()
	fileID, err := files.NewID(at)
	must(err)
	f := files.File{ID: fileID, Tenant: "acme", Purpose: files.PurposeBatch, Status: files.StatusUploading, CreatedAt: at}
	must(s.CreateFile(t.Context(), f))
	for n := range 3*chunksAtOnce + 1 {
		must(s.PutChunk(t.Context(), files.Chunk{Tenant: f.Tenant, File: f.ID, N: n, Data: []byte("a")}))
	}
	must(s.DeleteFile(t.Context(), f.Tenant, f.ID))
	_, _, err = s.SweepFiles(t.Context(), files.Sweep{Now: at, Abandoned: at, Limit: 1})
	must(err)
	left, err := read(t.Context(), s, "count", func(ctx context.Context, q *statements) (n int, err error) {
		return n, q.row(ctx, `SELECT (SELECT count(*) FROM files) + (SELECT count(*) FROM file_chunks)`).Scan(&n)
	})
	if err != nil || left != 0 {
		t.Errorf("rows left: got %d, %v, want none", left, err)
	}
}
