//go:build !race

package sealed_test

import (
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/storage/storagetest"
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
