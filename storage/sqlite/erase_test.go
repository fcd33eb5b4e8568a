package sqlite

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/tenantkey"
)

// An erased key is overwritten where it stood: the files do not hold it when the
// store is closed, and its neighbour is still there.
func TestAnErasedKeyIsInNoFile(t *testing.T) {
	t.Parallel()
	path := newPath(t)
	s, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, tenant := range []string{"first", "acme", "other"} {
		k := tenantkey.Key{
			ID: uuid.Must(uuid.NewV7()), Tenant: tenant, Wrapped: bytes.Repeat([]byte("wrapped for "+tenant+","), 9), KEK: "kek", CreatedAt: time.Now(),
		}
		if _, err := s.AddKey(t.Context(), k, uuid.Nil); err != nil {
			t.Fatal(err)
		}
	}
	if !inFiles(t, path, "wrapped for acme") {
		t.Error("the key is in no file before: the test cannot fail")
	}
	if _, err := s.Erase(t.Context(), "acme", time.Now(), jobs.JobError{Code: jobs.CodeErased}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if inFiles(t, path, "wrapped for acme") {
		t.Error("the erased key is still there")
	}
	if !inFiles(t, path, "wrapped for other") {
		t.Error("another tenant's key is gone")
	}
}

// inFiles reports whether a store's files hold the words.
func inFiles(t *testing.T, path, words string) bool {
	t.Helper()
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte(words)) {
			return true
		}
	}
	return false
}
