package sqlite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/sealed/sealedtest"
	"github.com/penstock-dev/penstock/storage/storagetest"
)

// openStore opens the file and closes it when the test ends.
func openStore(t testing.TB, c Config) *Store {
	t.Helper()
	s, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func newPath(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "penstock.db")
}

// migrated is an empty store's file. To copy it is much faster than to make it.
var migrated = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "penstock-sqlite-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "penstock.db")
	if err := Migrate(context.Background(), Config{Path: path}); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// emptyStore opens an empty store that c tells of.
func emptyStore(t *testing.T, c Config) *Store {
	t.Helper()
	file, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	c.Path = newPath(t)
	if err := os.WriteFile(c.Path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	return openStore(t, c)
}

func TestStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) jobs.Store {
		t.Helper()
		s := emptyStore(t, Config{})
		t.Cleanup(func() { checkPlans(t, s) })
		return s
	})
}

// A sealed store is a store: package sealed tries the other rules.
func TestSealedStoreInterrupted(t *testing.T) {
	t.Parallel()
	storagetest.RunInterrupted(t, func(t *testing.T, chunk int) jobs.Store {
		t.Helper()
		s := emptyStore(t, Config{ChunkSize: chunk})
		s.died = func() error { return errors.New("the process died") }
		return sealedtest.Open(t, s)
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	storagetest.RunKeys(t, func(t *testing.T) storagetest.KeyStore {
		t.Helper()
		s := emptyStore(t, Config{})
		t.Cleanup(func() { checkPlans(t, s) })
		return s
	})
}

func TestStoreInterrupted(t *testing.T) {
	t.Parallel()
	storagetest.RunInterrupted(t, func(t *testing.T, chunk int) jobs.Store {
		t.Helper()
		s := emptyStore(t, Config{ChunkSize: chunk})
		s.died = func() error { return errors.New("the process died") }
		return s
	})
}

func TestLanes(t *testing.T) {
	t.Parallel()
	storagetest.RunLanes(t, func(t *testing.T) storagetest.LaneStore {
		t.Helper()
		s := emptyStore(t, Config{})
		t.Cleanup(func() { checkPlans(t, s) })
		return s
	})
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	storagetest.RunWebhooks(t, func(t *testing.T) storagetest.WebhookStore {
		t.Helper()
		s := emptyStore(t, Config{})
		t.Cleanup(func() { checkPlans(t, s) })
		return s
	})
}

func TestFiles(t *testing.T) {
	t.Parallel()
	storagetest.RunFiles(t, func(t *testing.T) storagetest.FileStore {
		t.Helper()
		s := emptyStore(t, Config{})
		t.Cleanup(func() { checkPlans(t, s) })
		return s
	})
}

func TestBatches(t *testing.T) {
	t.Parallel()
	storagetest.RunBatches(t, func(t *testing.T) storagetest.BatchStore {
		t.Helper()
		s := emptyStore(t, Config{})
		t.Cleanup(func() { checkPlans(t, s) })
		return s
	})
}
