//go:build !race

// Megabytes, which take long with the race detector.

package httpapi

import (
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/batches"
)

func TestABatchHasSoManyRequests(t *testing.T) {
	t.Parallel()
	b := &batching{batch: running()}
	h, kept := startBatches(t, b)
	const one = `{"custom_id":"a","request":{}},`
	body := `{"requests":[` + strings.Repeat(one, batches.MaxLines)
	if got := h.stream(strings.NewReader(strings.TrimSuffix(body, ",") + "]}")); got.status != 202 {
		t.Errorf("%d requests: %d %s", batches.MaxLines, got.status, got.body)
	}
	got := h.stream(strings.NewReader(body + strings.TrimSuffix(one, ",") + "]}"))
	if p := got.problem(t); got.status != 400 || p.Errors[0].Pointer != "/requests" {
		t.Errorf("one more: %d %s", got.status, got.body)
	}
	if all := left(t, kept, DefaultTenant); len(all) != 1 {
		t.Errorf("%d files are left, want that of the first", len(all))
	}
}

// White space is no part of a request, however much there is.
func TestBlanksAreNotHeld(t *testing.T) {
	t.Parallel()
	h, kept := startBatches(t, &batching{batch: running()})
	blank := strings.Repeat(" ", 2*batches.MaxLine)
	const one = `{"custom_id":"a","request":{}}`
	if got := h.stream(strings.NewReader(`{"requests":[` + blank + one + blank + `,` + blank + one + `]}`)); got.status != 202 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if all := left(t, kept, DefaultTenant); len(all) != 1 || all[0].Bytes > 1<<10 {
		t.Errorf("left %v", all)
	}
}

func TestALineOfABatchHasSoManyBytes(t *testing.T) {
	t.Parallel()
	b := &batching{batch: running()}
	h, kept := startBatches(t, b)
	long := strings.Repeat("x", batches.MaxLine)
	refusesBatch(t, h, b, kept, `{"requests":[{"custom_id":"a","request":{"a":"`+long+`"}}]}`, "/requests/0")
	refusesBatch(t, h, b, kept, `{"requests":[{"custom_id":"`+long+`","request":{}}]}`, "/requests/0")
}
