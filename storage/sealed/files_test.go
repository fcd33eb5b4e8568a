package sealed_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/sealed"
)

// sealedFiles is a store of jobs and files, both sealed.
type sealedFiles struct {
	jobs.Store
	fileStore
}

type fileStore = sealed.Files

// upload keeps a chunk of a new file of acme's.
func (r *rig) upload(content string) uuid.UUID {
	r.t.Helper()
	file := files.File{
		ID: uuid.Must(uuid.NewV7()), Tenant: acme, Purpose: files.PurposeBatch, Status: files.StatusUploading, CreatedAt: now(),
	}
	r.must(r.below.CreateFile(r.t.Context(), file))
	r.must(r.files().PutChunk(r.t.Context(), files.Chunk{Tenant: acme, File: file.ID, Data: []byte(content)}))
	return file.ID
}

func (r *rig) files() sealed.Files { return r.store.Files(r.below) }

func (r *rig) chunk(of files.Chunks, file uuid.UUID) []byte {
	r.t.Helper()
	data, err := of.Chunk(r.t.Context(), acme, file, 0)
	r.must(err)
	return data
}

func TestChunksAreSealedBelow(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	file := r.upload(request)
	if got := r.chunk(r.files(), file); string(got) != request {
		t.Errorf("above: got %q", got)
	}
	if got := r.chunk(r.below, file); bytes.Contains(got, []byte("secret")) {
		t.Errorf("below: got %q", got)
	}
}

// What was kept before there was a secret can be read, whatever its bytes are.
func TestChunksInPlainAreRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, content := range []string{request, "\x01" + strings.Repeat("looks sealed", 10)} {
		file := r.upload(content)
		if got := r.chunk(r.below, file); string(got) != content {
			t.Errorf("below: got %q", got)
		}
		if got := r.chunk(r.process(1).files(), file); string(got) != content {
			t.Errorf("above: got %q, want %q", got, content)
		}
	}
}

// A chunk opens as the one it is, and as no other.
func TestAChunkIsBoundToItsPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	from, to := r.upload(request), r.upload("other")
	r.must(r.below.PutChunk(t.Context(), files.Chunk{Tenant: acme, File: to, Data: r.chunk(r.below, from)}))
	r.must(r.below.PutChunk(t.Context(), files.Chunk{Tenant: acme, File: from, N: 1, Data: r.chunk(r.below, from)}))
	for file, n := range map[uuid.UUID]int{to: 0, from: 1} {
		if _, err := r.files().Chunk(t.Context(), acme, file, n); !errors.Is(err, &jobs.Error{Code: jobs.CodeUnreadable}) {
			t.Errorf("a chunk that was moved: got %v, want %s", err, jobs.CodeUnreadable)
		}
	}
}

func TestErasedChunksSaySo(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	file := r.upload(request)
	_, err := sealed.Erase(t.Context(), r.below, acme)
	r.must(err)
	_, err = r.process(1).files().Chunk(t.Context(), acme, file, 0)
	if !errors.Is(err, &jobs.Error{Code: jobs.CodeErased}) {
		t.Errorf("an erased chunk: got %v, want %s", err, jobs.CodeErased)
	}
}

// bucket is one in memory, which remembers of what it was told last.
type bucket struct {
	files.Chunks

	removed uuid.UUID
}

func (b *bucket) Remove(_ context.Context, file uuid.UUID) error {
	b.removed = file
	return nil
}

// What leaves for a bucket is sealed.
func TestABucketIsGivenWhatIsSealed(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	file := r.upload("in the store")
	below := &bucket{Chunks: r.below}
	b := r.store.Bucket(below)
	r.must(b.PutChunk(t.Context(), files.Chunk{Tenant: acme, File: file, Data: []byte(request)}))
	if got := r.chunk(r.below, file); bytes.Contains(got, []byte("secret")) {
		t.Errorf("below: got %q", got)
	}
	if got := r.chunk(b, file); string(got) != request {
		t.Errorf("above: got %q", got)
	}
	r.must(b.Remove(t.Context(), file))
	if below.removed != file {
		t.Errorf("removed %s, want %s", below.removed, file)
	}
}
