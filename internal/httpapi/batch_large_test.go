//go:build !race

// Megabytes, which take long with the race detector.

package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

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

// blanks are without an end.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// A body that is not announced is refused when it has grown too large, of whatever it is.
func TestABatchGrowsToSoManyBytes(t *testing.T) {
	t.Parallel()
	const one = `{"requests":[{"custom_id":"a","request":{}}`
	h, kept := startBatches(t, &batching{batch: running()})
	blank := io.LimitReader(blanks{}, maxBatchBody+1-int64(len(one)+2))
	got := h.stream(io.MultiReader(strings.NewReader(one), blank, strings.NewReader("]}")))
	if got.status != 413 || got.problem(t).Code != "body_too_large" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if all := left(t, kept, DefaultTenant); len(all) != 0 {
		t.Errorf("left %v", all)
	}
}

// A body that is announced as too large, or that begins with what is no good or too long, is
// refused before it is sent.
func TestABatchIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	const one = `{"custom_id":"a","request":{}}`
	long := strings.Repeat("x", 2*maxFields)
	for name, c := range map[string]struct {
		begins       string
		length, want int
	}{
		"too large":                 {"", maxBatchBody + 1, 413},
		"no good":                   {`{"priority":"urgent","requests":[{"custom_id"`, maxBatchBody, 400},
		"a long field":              {`{"user":"` + long, maxBatchBody, 400},
		"a long field behind":       {`{"requests":[` + one + `],"user":"` + long, maxBatchBody, 400},
		"a long name":               {`{"` + long, maxBatchBody, 400},
		"a long request":            {`{"requests":[{"custom_id":"a","request":{"a":"` + strings.Repeat("x", batches.MaxLine), maxBatchBody, 400},
		"a long request behind":     {`{"requests":[` + one + `,{"request":{"a":"` + strings.Repeat("x", batches.MaxLine), maxBatchBody, 400},
		"what follows, and is long": {`{}"` + long, maxBatchBody, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, _ := startBatches(t, &batching{})
			conn, err := h.dial(t.Context(), "tcp", "penstock:80")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			const head = "POST %s HTTP/1.1\r\nHost: penstock\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
			began := time.Now()
			go fmt.Fprintf(conn, head, batchesPath, c.length, c.begins)
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			// Else it would be after the minute that a body may pause for.
			if took := time.Since(began); res.StatusCode != c.want || took > 30*time.Second {
				t.Errorf("got %s after %s, want %d at once", res.Status, took, c.want)
			}
		})
	}
}
