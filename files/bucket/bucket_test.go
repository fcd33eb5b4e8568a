package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/files/bucket"
	"github.com/penstock-dev/penstock/jobs"
)

const secretKey = "a key that nobody is told"

func TestMain(m *testing.M) {
	os.Setenv("AWS_ACCESS_KEY_ID", "penstock")
	os.Setenv("AWS_SECRET_ACCESS_KEY", secretKey)
	os.Exit(m.Run())
}

// server is S3 with one bucket, penstock, in memory. It answers with status, if that is set.
type server struct {
	*httptest.Server

	objects *s3mem.Backend
	status  atomic.Int64
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{objects: s3mem.New()}
	if err := s.objects.CreateBucket("penstock"); err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(s.objects).Server()
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := s.status.Load(); status != 0 {
			w.WriteHeader(int(status))
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// open returns the bucket of that name, and prefix.
func (s *server) open(t *testing.T, name string) *bucket.Bucket {
	t.Helper()
	at, err := bucket.Parse("s3://" + name + "?endpoint=" + s.URL)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bucket.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *server) keys(t *testing.T) (keys []string) {
	t.Helper()
	list, err := s.objects.ListBucket("penstock", nil, gofakes3.ListBucketPage{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		keys = append(keys, o.Key)
	}
	return keys
}

func put(t *testing.T, b files.Bucket, file uuid.UUID, n int, data []byte) {
	t.Helper()
	if err := b.PutChunk(t.Context(), files.Chunk{Tenant: "acme", File: file, N: n, Data: data}); err != nil {
		t.Fatal(err)
	}
}

// has fails the test unless the chunk is there.
func has(t *testing.T, b files.Bucket, file uuid.UUID, n int, want []byte) {
	t.Helper()
	got, err := b.Chunk(t.Context(), "acme", file, n)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("chunk %d: got %d bytes, %v, want %d", n, len(got), err, len(want))
	}
}

func TestChunksComeBack(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	b := s.open(t, "penstock/files")
	file := uuid.New()
	big := bytes.Repeat([]byte("0123456789abcdef"), files.ChunkSize/16)
	put(t, b, file, 0, big)
	put(t, b, file, 1, []byte("\x00\xff"))
	put(t, b, file, 1, []byte("again"))
	put(t, b, file, 2, nil)
	has(t, b, file, 0, big)
	has(t, b, file, 1, []byte("again"))
	has(t, b, file, 2, nil)
	for file, n := range map[uuid.UUID]int{file: 3, uuid.New(): 0} {
		if _, err := b.Chunk(t.Context(), "acme", file, n); !errors.Is(err, files.ErrNotFound) {
			t.Errorf("a chunk that is not there: got %v", err)
		}
	}
	if got, want := strings.Join(s.keys(t), " "), "files/"+file.String()+"/000001"; !strings.Contains(got, want) {
		t.Errorf("keys: got %s, want one to be %s", got, want)
	}
	if err := b.Check(t.Context()); err != nil {
		t.Errorf("check: %v", err)
	}
}

// A file is removed with all its chunks, more than a list of S3 has, and nothing else is.
func TestAFileIsRemoved(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	b := s.open(t, "penstock")
	gone, stays := uuid.New(), uuid.New()
	for n := range 1001 {
		put(t, b, gone, n, []byte("a"))
	}
	put(t, b, stays, 0, []byte("b"))
	for range 2 { // the second time there is none
		if err := b.Remove(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	if keys := s.keys(t); len(keys) != 1 {
		t.Errorf("%d keys are left, want 1", len(keys))
	}
	has(t, b, stays, 0, []byte("b"))
}

// each calls what a bucket does.
func each(ctx context.Context, b *bucket.Bucket) map[string]error {
	_, got := b.Chunk(ctx, "acme", uuid.New(), 0)
	return map[string]error{
		"put": b.PutChunk(ctx, files.Chunk{File: uuid.New(), Data: []byte("a")}), "get": got,
		"remove": b.Remove(ctx, uuid.New()), "check": b.Check(ctx),
	}
}

// What is wrong with a bucket is said with what to do about it, and without the key.
func TestTroubleIsNamed(t *testing.T) {
	t.Parallel()
	refusing, missing, away := newServer(t), newServer(t), newServer(t)
	refusing.status.Store(http.StatusForbidden)
	away.Close()
	for want, b := range map[string]*bucket.Bucket{
		"set AWS_ACCESS_KEY_ID":                     refusing.open(t, "penstock"),
		"there is no such bucket":                   missing.open(t, "other"),
		"cannot be reached: check the endpoint in ": away.open(t, "penstock"),
	} {
		for what, err := range each(t.Context(), b) {
			e, ok := errors.AsType[*jobs.Error](err)
			if !ok || e.Code != jobs.CodeStoreUnavailable || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q", what, err, want)
			}
			if err != nil && strings.Contains(err.Error(), secretKey) {
				t.Errorf("%s tells the key: %v", what, err)
			}
		}
	}
}

// Whoever gives up does not hear that the bucket is away.
func TestACallerGivesUp(t *testing.T) {
	t.Parallel()
	b := newServer(t).open(t, "penstock")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range each(ctx, b) {
		if !errors.Is(err, context.Canceled) || errors.Is(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}) {
			t.Errorf("%s: got %v, want that it was cancelled", what, err)
		}
	}
}

// A server that fails once is asked again.
func TestAPassingFailureIsNotTold(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	handler := s.Config.Handler
	var asked atomic.Int64
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		handler.ServeHTTP(w, r)
	})
	b, file := s.open(t, "penstock"), uuid.New()
	put(t, b, file, 0, []byte("a"))
	has(t, b, file, 0, []byte("a"))
}
