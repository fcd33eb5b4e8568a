package postgres

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
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

// A chunk that comes while its upload is removed is not kept: nobody would remove it.
func TestAChunkWaitsForASweep(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	f := newUpload(t, s, 0)
	sweep, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sweep.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := sweep.Exec(t.Context(), `UPDATE files SET status = 'removed' WHERE id = $1`, f.ID); err != nil {
		t.Fatal(err)
	}
	put := make(chan error, 1)
	go func() { put <- s.PutChunk(t.Context(), files.Chunk{Tenant: f.Tenant, File: f.ID, Data: []byte("a")}) }()
	untilWaiting(t, s, 1)
	if err := sweep.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-put; !errors.Is(err, files.ErrNotFound) {
		t.Errorf("a chunk of an upload that was removed: got %v, want %v", err, files.ErrNotFound)
	}
}

// A batch that is made after a sweep has chosen its input, and before that is locked, keeps it.
func TestASweepLooksAgain(t *testing.T) {
	t.Parallel()
	s := openStore(t, Config{})
	f := newUpload(t, s, 1)
	if err := s.FinishFile(t.Context(), f.Tenant, f.ID, 1, time.Time{}); err != nil {
		t.Fatal(err)
	}
	gate, err := s.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gate.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := gate.Exec(t.Context(), `SELECT pg_advisory_xact_lock(7)`); err != nil {
		t.Fatal(err)
	}
	kind := goneKind{where: `f.id = $1 AND pg_advisory_xact_lock_shared(7)::text = ''`, order: `f.id`, args: []any{f.ID}}
	swept := make(chan error, 1)
	go func() {
		_, err := s.removeFiles(t.Context(), kind, 1)
		swept <- err
	}()
	untilWaiting(t, s, 1)
	id, err := files.NewID(f.CreatedAt)
	if err != nil {
		t.Fatal(err)
	}
	b := batches.Batch{
		ID: id, Tenant: f.Tenant, Input: f.ID, Output: uuid.New(), Errors: uuid.New(), Status: batches.StatusValidating,
		CreatedAt: f.CreatedAt, Deadline: f.CreatedAt.Add(time.Hour),
	}
	if _, _, err := s.CreateBatch(t.Context(), b, batches.Repeat{}); err != nil {
		t.Fatal(err)
	}
	if err := gate.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-swept; err != nil {
		t.Fatal(err)
	}
	if _, err := s.File(t.Context(), f.Tenant, f.ID, f.CreatedAt); err != nil {
		t.Errorf("the input of a batch: got %v", err)
	}
}
