package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
)

// readRequests reads a body, and returns what of it is kept.
func readRequests(body string) (kept []string, err error) {
	err = newRequests(strings.NewReader(body)).readAll(func(id string, params json.RawMessage) error {
		kept = append(kept, id+" "+string(params))
		return nil
	})
	return kept, err
}

func TestRequests(t *testing.T) {
	t.Parallel()
	kept, err := readRequests(` {"requests" : [ {"custom_id":"a-1","params":{"x":[1]}}, {"params":{},"custom_id":"B_2"} ] } `)
	if want := `[a-1 {"x":[1]} B_2 {}]`; err != nil || fmt.Sprint(kept) != want {
		t.Errorf("got %v and %v, want %s", kept, err, want)
	}
}

// TestBlanksAreNotHeld: white space is no part of a request, however much there is.
func TestBlanksAreNotHeld(t *testing.T) {
	t.Parallel()
	blank := strings.Repeat(" ", 2*batches.MaxLine)
	kept, err := readRequests(`{"requests":[` + blank + one("a") + blank + `,` + blank + one("b") + `]}`)
	if want := `[a {} b {}]`; err != nil || fmt.Sprint(kept) != want {
		t.Errorf("got %v and %v, want %s", kept, err, want)
	}
}

// TestRequestsThatAreNoGood: what is wrong is named, by the request and the field.
func TestRequestsThatAreNoGood(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", maxCustomID+1)
	for body, want := range map[string]string{
		``:                                 "invalid_field: the body must be one JSON object, and whole",
		`[]`:                               "invalid_field: must be an object",
		`{"requests":[`:                    "invalid_field: the body must be one JSON object, and whole",
		`{"requests":{}}`:                  "invalid_field: /requests: must be an array",
		`{}`:                               "invalid_field: /requests: must be an array with at least one request",
		`{"requests":[]}`:                  "invalid_field: /requests: must be an array with at least one request",
		`{"requests":[1]}`:                 "invalid_field: /requests/0: must be an object with the fields custom_id and params",
		`{"requests":[null]}`:              "invalid_field: /requests/0: must be an object with the fields custom_id and params",
		`{"requests":[{"params":{}}]}`:     "invalid_field: /requests/0/custom_id: must be 1 to 64 letters, digits, dashes or underscores",
		`{"more":1}`:                       "invalid_field: /more: is not known here, or is there twice: a batch has the field requests",
		`{"requests":[` + one("") + `]}`:   "invalid_field: /requests/0/custom_id: must be 1 to 64 letters, digits, dashes or underscores",
		`{"requests":[` + one("é") + `]}`:  "invalid_field: /requests/0/custom_id: must be 1 to 64 letters, digits, dashes or underscores",
		`{"requests":[` + one(long) + `]}`: "invalid_field: /requests/0/custom_id: must be 1 to 64 letters, digits, dashes or underscores",
		`{"requests":[` + one("a") + `,` + one("a") + `]}`:            "invalid_field: /requests/1/custom_id: is that of another request in this batch, too",
		`{"requests":[` + one("a") + `],"requests":[]}`:               "invalid_field: /requests: is not known here, or is there twice: a batch has the field requests",
		`{"requests":[` + one("a") + `]} {}`:                          "invalid_field: the body must be one JSON object, and whole",
		`{"requests":[{"custom_id":"a","params":[]}]}`:                "invalid_field: /requests/0/params: must be an object: the body of a request to /v1/messages",
		`{"requests":[{"custom_id":"a","params":{},"method":"GET"}]}`: "invalid_field: /requests/0/method: is not known here: a request has custom_id and params",
	} {
		if kept, err := readRequests(body); err == nil || err.Error() != want {
			t.Errorf("%s: kept %v, got %v, want %s", body, kept, err, want)
		}
	}
}

func one(id string) string { return fmt.Sprintf(`{"custom_id":%q,"params":{}}`, id) }

// TestRequestsAreBounded: what is too large is refused before it is all in memory.
func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	head := `{"requests":[` + one("first") + `,{"custom_id":"large","params":{"x":"`
	for name, size := range map[string]int64{"a byte": batches.MaxLine, "endless": 1 << 40} {
		read := 0
		text := readerFunc(func(p []byte) (int, error) {
			read += len(p)
			return copy(p, bytes.Repeat([]byte("x"), len(p))), nil
		})
		body := io.MultiReader(strings.NewReader(head), io.LimitReader(text, size), strings.NewReader(`"}}]}`))
		err := newRequests(body).readAll(func(string, json.RawMessage) error { return nil })
		if e, ok := errors.AsType[*jobs.Error](err); !ok || !strings.HasPrefix(e.Pointer, "/requests") {
			t.Errorf("%s: got %v, want a request that is too large", name, err)
		}
		if read > batches.MaxLine+1<<17 {
			t.Errorf("%s: %d bytes were read", name, read)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// FuzzRequests: what is kept is what a whole reading finds; what is wrong is the caller's
// fault.
func FuzzRequests(f *testing.F) {
	f.Add(`{"requests":[{"custom_id":"a","params":{"model":"m"}},{"custom_id":"b","params":{}}]}`)
	f.Add(`{"requests":[{"custom_id":"a","params":{}},{"custom_id":"a","params":{}}]}`)
	f.Add(`{"requests":[{"custom_id":"\u0061","params":{"a":1}}]}x`)
	f.Fuzz(func(t *testing.T, body string) {
		kept, err := readRequests(body)
		if err != nil {
			if e, ok := errors.AsType[*jobs.Error](err); !ok || e.Code != jobs.CodeInvalidField {
				t.Fatalf("got %v", err)
			}
			return
		}
		var whole struct {
			Requests []struct {
				ID     string          `json:"custom_id"`
				Params json.RawMessage `json:"params"`
			} `json:"requests"`
		}
		if err := json.Unmarshal([]byte(body), &whole); err != nil {
			t.Fatalf("taken: %v", err)
		}
		for i, r := range whole.Requests {
			if want := r.ID + " " + string(r.Params); i >= len(kept) || kept[i] != want {
				t.Fatalf("kept %q, want %q at %d", kept, want, i)
			}
		}
	})
}
