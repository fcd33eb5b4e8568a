package files_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

const acme = "acme"

// rig is a service over a store in SQLite.
type rig struct {
	*testing.T

	store   *recorder
	service *files.Service
}

func newRig(t *testing.T, edit func(c *files.Config)) rig {
	t.Helper()
	below, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := below.Close(); err != nil {
			t.Error(err)
		}
	})
	r := rig{T: t, store: &recorder{Store: below}}
	c := files.Config{Store: r.store}
	if edit != nil {
		edit(&c)
	}
	if r.service, err = files.NewService(c); err != nil {
		t.Fatal(err)
	}
	return r
}

// recorder notes how chunks are put and read, and fails when it is told to.
type recorder struct {
	files.Store

	mu   sync.Mutex
	put  []int
	read int
	fail error
}

func (s *recorder) PutChunk(ctx context.Context, c files.Chunk) error {
	s.mu.Lock()
	s.put = append(s.put, len(c.Data))
	fail := s.fail
	s.mu.Unlock()
	if fail != nil {
		return fail
	}
	return s.Store.PutChunk(ctx, c)
}

func (s *recorder) Chunk(ctx context.Context, tenant string, file uuid.UUID, n int) ([]byte, error) {
	s.mu.Lock()
	s.read++
	s.mu.Unlock()
	return s.Store.Chunk(ctx, tenant, file, n)
}

func (r rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r rig) mustBe(err, want error, what string) {
	r.Helper()
	if !errors.Is(err, want) {
		r.Fatalf("%s: got error %v, want %v", what, err, want)
	}
}

func (r rig) create() *files.Writer {
	r.Helper()
	w, err := r.service.Create(r.Context(), files.New{Tenant: acme, Name: "lines.jsonl", Purpose: files.PurposeBatch})
	r.must(err)
	return w
}

// upload keeps content, written a piece of so many bytes at a time.
func (r rig) upload(content []byte, piece int) files.File {
	r.Helper()
	w := r.create()
	for rest := content; len(rest) > 0; {
		n := min(piece, len(rest))
		_, err := w.Write(rest[:n])
		r.must(err)
		rest = rest[n:]
	}
	f, err := w.Commit(r.Context())
	r.must(err)
	return f
}

func (r rig) open(f files.File) *files.Reader {
	r.Helper()
	return r.service.Open(r.Context(), acme, f)
}

// reads fails the test unless the file has the content.
func (r rig) reads(f files.File, want []byte) {
	r.Helper()
	got, err := io.ReadAll(r.open(f))
	r.must(err)
	if !bytes.Equal(got, want) || f.Bytes != int64(len(want)) {
		r.Errorf("got %d bytes %.40q and size %d, want %d bytes %.40q", len(got), got, f.Bytes, len(want), want)
	}
}

// none fails the test if any file is told of.
func (r rig) none() {
	r.Helper()
	list, _, err := r.service.List(r.Context(), files.Query{Tenant: acme})
	r.must(err)
	if len(list) > 0 {
		r.Errorf("got files %+v, want none", list)
	}
}

// noise returns bytes that do not repeat soon.
func noise(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}
