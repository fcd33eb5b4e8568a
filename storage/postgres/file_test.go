package postgres

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
)

// newUpload keeps an upload of acme's that has so many small chunks.
func newUpload(t testing.TB, s *Store, chunks int) files.File {
	t.Helper()
	at := time.Now().UTC().Truncate(time.Microsecond)
	id, err := files.NewID(at)
	if err != nil {
		t.Fatal(err)
	}
	f := files.File{ID: id, Tenant: "acme", Purpose: files.PurposeBatch, Status: files.StatusUploading, CreatedAt: at}
	if err := s.CreateFile(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	for n := range chunks {
		if err := s.PutChunk(t.Context(), files.Chunk{Tenant: f.Tenant, File: f.ID, N: n, Data: []byte("a")}); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// Of a file that was removed a sweep leaves nothing in the store, however large it was.
func TestASweepLeavesNoChunk(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	f := newUpload(t, s, 2*chunksAtOnce+1)
	if err := s.DeleteFile(t.Context(), f.Tenant, f.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.SweepFiles(t.Context(), files.Sweep{Now: time.Now(), Limit: 1}); err != nil {
		t.Fatal(err)
	}
	if rows, chunks := count(t, s, "files"), count(t, s, "file_chunks"); rows+chunks != 0 {
		t.Errorf("left: %d files and %d chunks, want none", rows, chunks)
	}
}

// A list reads the files of its tenant, in their order, and no more than it returns.
func TestFilesAreListedByTheirIndex(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{MaxConns: 1})
	const fill = `
		INSERT INTO files (id, tenant, purpose, name, bytes, status, bucket, created_at)
		SELECT gen_random_uuid(), 't' || n % 10, 'batch', 'a', 1, 'uploaded', false, now() FROM generate_series(1, 20000) n`
	queries := map[string]files.Query{
		"newest": {Tenant: "t1", Limit: 10},
		"oldest": {Tenant: "t1", Limit: 10, Ascending: true},
		"after":  {Tenant: "t1", Limit: 10, After: uuid.New(), Purpose: files.PurposeBatch},
	}
	statements := map[string]prepared{}
	for name, q := range queries {
		sql, args := filesQuery(q, time.Now())
		statements[name] = prepare(t, s, name, sql, args...)
	}
	if _, err := s.pool.Exec(t.Context(), fill); err != nil {
		t.Fatal(err)
	}
	for name, p := range statements {
		if plan := p.plan(); !strings.Contains(plan, "files_list") || strings.Contains(plan, "Sort") {
			t.Errorf("%s: got plan\n%s\nwant a scan of files_list", name, plan)
		}
	}
}
