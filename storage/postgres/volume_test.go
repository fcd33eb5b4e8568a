//go:build !race

package postgres

import (
	"errors"
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/sealed/sealedtest"
	"github.com/penstock-dev/penstock/storage/storagetest"
)

// A sealed store is a store. The race detector watches the two apart: this store here, and
// sealing in package sealed.
func TestSealedStore(t *testing.T) {
	t.Parallel()
	d := newDatabases(t)
	storagetest.Run(t, func(t *testing.T) jobs.Store {
		t.Helper()
		return sealedtest.Open(t, d.open(t, Config{}))
	})
	storagetest.RunInterrupted(t, func(t *testing.T, chunk int) jobs.Store {
		t.Helper()
		s := d.open(t, Config{ChunkSize: chunk})
		s.interrupt = errors.New("the process died")
		return sealedtest.Open(t, s)
	})
}

func TestPiles(t *testing.T) {
	t.Parallel()
	d := newDatabases(t)
	storagetest.RunPiles(t, func(t *testing.T) storagetest.WebhookStore {
		t.Helper()
		return d.open(t, Config{})
	})
}
