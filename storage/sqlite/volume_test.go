//go:build !race

package sqlite

import (
	"testing"

	"github.com/penstock-dev/penstock/storage/storagetest"
)

func TestPiles(t *testing.T) {
	t.Parallel()
	storagetest.RunPiles(t, func(t *testing.T) storagetest.WebhookStore {
		t.Helper()
		s := emptyStore(t, Config{})
		t.Cleanup(func() { checkPlans(t, s) })
		return s
	})
}
