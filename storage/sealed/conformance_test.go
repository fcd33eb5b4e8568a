//go:build !race

package sealed_test

import (
	"testing"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/storagetest"
	"github.com/penstock-dev/penstock/storage/tenantkey"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// A sealed store is a store. Package postgres tries it on Postgres. The race detector
// watches the two apart: the store in its own package, and sealing in the other tests.
func TestSealedStore(t *testing.T) {
	t.Parallel()
	storagetest.Run(t, func(t *testing.T) jobs.Store {
		t.Helper()
		return newRig(t, 1).store
	})
}

// A sealed store of batches is one.
func TestBatches(t *testing.T) {
	t.Parallel()
	storagetest.RunBatches(t, func(t *testing.T) storagetest.BatchStore {
		t.Helper()
		r := newRig(t, 1)
		type (
			sealedJobs  = jobs.Store
			sealedHooks = delivery.Store
			sealedLines = batches.Store
			keys        = tenantkey.Store
			inputs      = files.Store
		)
		return struct {
			sealedJobs
			keys
			inputs
			sealedHooks
			sealedLines
		}{r.store, r.below, r.below, r.store.Webhooks(r.below), r.store.Batches(r.below)}
	})
}

// A sealed store of files is one.
func TestFiles(t *testing.T) {
	t.Parallel()
	storagetest.RunFiles(t, func(t *testing.T) storagetest.FileStore {
		t.Helper()
		r := newRig(t, 1)
		return sealedFiles{r.store, r.files()}
	})
}
