package files_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

func TestListsSayWhetherThereAreMore(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	var want []uuid.UUID
	for range 3 {
		want = append(want, r.upload(nil, 1).ID)
	}
	slices.Reverse(want)
	var got []uuid.UUID
	for more := true; more; {
		q := files.Query{Tenant: acme, Limit: 2}
		if len(got) > 0 {
			q.After = got[len(got)-1]
		}
		var page []files.File
		var err error
		page, more, err = r.service.List(t.Context(), q)
		r.must(err)
		if more != (len(got) == 0) || len(page) != 2 && more {
			t.Errorf("a page of %d after %d: more is %v", len(page), len(got), more)
		}
		for _, f := range page {
			got = append(got, f.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("files: got %v, want %v", got, want)
	}
}

func TestAFileThatWasDeletedIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	f := r.upload(noise(10), 10)
	r.mustBe(r.service.Delete(t.Context(), "other", f.ID), files.ErrNotFound, "delete as another tenant")
	r.must(r.service.Delete(t.Context(), acme, f.ID))
	r.mustBe(r.service.Delete(t.Context(), acme, f.ID), files.ErrNotFound, "delete again")
	_, err := r.service.File(t.Context(), acme, f.ID)
	r.mustBe(err, files.ErrNotFound, "read")
	r.none()
}

func TestFilesExpireAndAreSwept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, func(c *files.Config) { c.Retention = jobs.Retention{Default: 48 * time.Hour} })
		w, err := r.service.Create(t.Context(), files.New{
			Tenant: acme, Name: "short", Purpose: files.PurposeBatch, ExpiresAfter: time.Hour,
		})
		r.must(err)
		short, err := w.Commit(t.Context())
		r.must(err)
		long, abandoned := r.upload([]byte("a"), 1), r.create()
		_, err = abandoned.Write(noise(files.ChunkSize))
		r.must(err)
		if want := short.CreatedAt.Add(time.Hour); short.ExpiresAt != want || !long.ExpiresAt.IsZero() {
			t.Errorf("expire at: got %v and %v, want %v and never", short.ExpiresAt, long.ExpiresAt, want)
		}
		sweepAfter := func(d time.Duration) {
			t.Helper()
			time.Sleep(d)
			r.must(r.service.Sweep(t.Context()))
		}
		sweepAfter(time.Hour)
		_, err = r.service.File(t.Context(), acme, short.ID)
		r.mustBe(err, files.ErrNotFound, "read after an hour")
		r.reads(long, []byte("a"))
		sweepAfter(24 * time.Hour)
		_, err = r.store.Chunk(t.Context(), acme, short.ID, 0)
		r.mustBe(err, files.ErrNotFound, "read a chunk of an upload that was abandoned")
		r.reads(long, []byte("a"))
		sweepAfter(24 * time.Hour)
		r.none()
		abandoned.Abort()
	})
}

// bucket is one in memory that fails to remove what it is told to.
type bucket struct {
	files.Chunks

	removed []uuid.UUID
	fails   uuid.UUID
}

func (b *bucket) Remove(_ context.Context, file uuid.UUID) error {
	if file == b.fails {
		return errors.New("the bucket is away")
	}
	b.removed = append(b.removed, file)
	return nil
}

// Files are in the bucket once there is one; what was there before is read where it is.
func TestFilesAreInTheBucket(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	before := r.upload([]byte("before"), 10)
	there := &bucket{Chunks: &memory{}}
	var err error
	r.service, err = files.NewService(files.Config{Store: r.store, Bucket: there})
	r.must(err)
	puts := len(r.store.put)
	content := noise(files.ChunkSize + 9)
	f := r.upload(content, 5000)
	if len(r.store.put) != puts || !f.Bucket {
		t.Errorf("%d chunks went to the store; file %+v", len(r.store.put)-puts, f)
	}
	r.reads(f, content)
	r.reads(before, []byte("before"))
}

// What is removed from the bucket is forgotten, and the rest is tried again.
func TestTheBucketIsSwept(t *testing.T) {
	t.Parallel()
	there := &bucket{Chunks: &memory{}}
	r := newRig(t, func(c *files.Config) { c.Bucket = there })
	var all []uuid.UUID
	for range 3 {
		f := r.upload([]byte("a"), 1)
		r.must(r.service.Delete(t.Context(), acme, f.ID))
		all = append(all, f.ID)
	}
	there.fails = all[1]
	if err := r.service.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), "the bucket is away") {
		t.Errorf("sweep: got %v", err)
	}
	there.fails = uuid.Nil
	for range 2 {
		r.must(r.service.Sweep(t.Context()))
	}
	if !slices.Equal(there.removed, all) {
		t.Errorf("removed: got %v, want %v", there.removed, all)
	}
}

func TestASweepMissesItsBucket(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *files.Config) { c.Bucket = &bucket{Chunks: &memory{}} })
	f := r.upload([]byte("a"), 1)
	r.must(r.service.Delete(t.Context(), acme, f.ID))
	without, err := files.NewService(files.Config{Store: r.store})
	r.must(err)
	if err := without.Sweep(t.Context()); err == nil || !strings.Contains(err.Error(), "files.url") {
		t.Errorf("sweep: got %v, want what to configure", err)
	}
}

// memory keeps chunks.
type memory struct{ chunks map[uuid.UUID][][]byte }

func (m *memory) PutChunk(_ context.Context, c files.Chunk) error {
	if m.chunks == nil {
		m.chunks = map[uuid.UUID][][]byte{}
	}
	m.chunks[c.File] = append(m.chunks[c.File][:c.N], slices.Clone(c.Data))
	return nil
}

func (m *memory) Chunk(_ context.Context, _ string, file uuid.UUID, n int) ([]byte, error) {
	if n >= len(m.chunks[file]) {
		return nil, files.ErrNotFound
	}
	return m.chunks[file][n], nil
}
