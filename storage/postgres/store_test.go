package postgres

import (
	"errors"
	"testing"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/storagetest"
)

// openStore opens a store and closes it when the test ends. Without a URL in c
// it is one in a database of its own.
func openStore(t testing.TB, c Config) *Store {
	t.Helper()
	if c.URL == "" {
		c.URL = testenv.Postgres(t)
	}
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

func TestStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) jobs.Store {
		t.Helper()
		return openStore(t, Config{})
	})
}

func TestStoreInterrupted(t *testing.T) {
	t.Parallel()
	storagetest.RunInterrupted(t, func(t *testing.T, chunk int) jobs.Store {
		t.Helper()
		s := openStore(t, Config{ChunkSize: chunk})
		s.interrupt = errors.New("the process died")
		return s
	})
}
