// Package sqlitetest gives a test a database file of its own that holds nothing but
// the schema. Only tests import it.
package sqlitetest

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/penstock-dev/penstock/storage/sqlite"
)

// File returns the path of an empty store's file, in a folder that goes when tb ends.
// The caller opens it, and closes it before. It is a copy of the one file that the
// test's process migrates: to copy it takes a hundredth of the time.
func File(tb testing.TB) string {
	tb.Helper()
	file, err := migrated()
	if err != nil {
		tb.Fatalf("make the schema for tests: %v", err)
	}
	path := filepath.Join(tb.TempDir(), "penstock.db")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		tb.Fatalf("copy the schema for the test: %v", err)
	}
	return path
}

var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "penstock-sqlite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "penstock.db")
	if err := sqlite.Migrate(context.Background(), sqlite.Config{Path: path}); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})
