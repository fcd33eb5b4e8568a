package surface_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
)

func TestIDsOfEverySurface(t *testing.T) {
	t.Parallel()
	id := uuid.MustParse("0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17")
	const digits = "0199f1a27c3e7d4b9a513f0c8e6b2d17"
	for want, got := range map[string]string{
		"batch_" + digits: surface.BatchID(id), "msgbatch_" + digits: surface.MessageBatchID(id),
		"file-" + digits: surface.FileID(id), "resp_" + digits: surface.ResponseID(id), "msg_" + digits: surface.MessageID(id),
		id.String(): id.String(),
	} {
		back, err := surface.ParseID(got)
		if got != want || back != id || err != nil {
			t.Errorf("got %s, and back %s, %v; want %s", got, back, err, want)
		}
	}
	for _, text := range []string{
		"", "batch_", "batch_" + id.String(), digits, "other_" + digits, "batch_" + digits[:31] + "g", "{" + id.String() + "}",
		"urn:uuid:" + id.String(), "batch_batch_" + digits, "file-" + strings.Repeat("0", 33),
	} {
		if got, err := surface.ParseID(text); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("%q: got %s, error %v", text, got, err)
		}
	}
}
