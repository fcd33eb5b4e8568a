package canonical_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/penstock-dev/penstock/jobs/canonical"
)

func ExampleJSON() {
	out, err := canonical.JSON([]byte(`{ "b": 1.0, "a": "\u00e9" }`))
	fmt.Println(string(out), err)
	// Output: {"a":"é","b":1} <nil>
}

func TestEqualDocumentsHaveOneForm(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]string{
		{`{"a":1,"b":2}`, "{\n \"b\" : 2.0, \"a\" : 1e0 }"},
		{`"<&>"`, `"\u003c\u0026\u003e"`},
		{`[0]`, `[-0]`},
		{`"😀"`, `"\ud83d\ude00"`},
		{`9007199254740992`, `9007199254740992`},
		{`1e-7`, `0.0000001`},
	} {
		a, errA := canonical.JSON([]byte(pair[0]))
		b, errB := canonical.JSON([]byte(pair[1]))
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s and %s: got %s (%v) and %s (%v), want one form", pair[0], pair[1], a, errA, b, errB)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", canonical.MaxDepth+1) + strings.Repeat("]", canonical.MaxDepth+1)
	for _, tc := range []struct{ doc, pointer, reason string }{
		{`{"a":1,"a":1}`, "/a", "twice"},
		{`{"a":{"b":1,"\u0062":2}}`, "/a/b", "twice"},
		{`{"seed":9007199254740993}`, "/seed", "2^53"},
		{`{"seed":-9007199254740993}`, "/seed", "2^53"},
		{`[9007199254740993.0]`, "/0", "2^53"},
		{`[1e300]`, "/0", "2^53"},
		{`[1e400]`, "/0", "double"},
		{`{"a/b":{"~":1e400}}`, "/a~1b/~0", "double"},
		{`"` + "\xff" + `"`, "", "UTF-8"},
		{`"\ud800"`, "", "Unicode"},
		{deep, strings.Repeat("/0", canonical.MaxDepth), "deeper"},
		{`{} {}`, "", "follows"},
		{``, "", "early"},
		{`{"a":`, "/a", "early"},
		{`{"a" 1}`, "", "not valid"},
		{`[1,]`, "", "not valid"},
	} {
		_, err := canonical.JSON([]byte(tc.doc))
		e, ok := errors.AsType[*canonical.Error](err)
		if !ok || e.Pointer != tc.pointer && tc.pointer != "" || !strings.Contains(e.Reason, tc.reason) {
			t.Errorf("%.60s: got %v, want %q at %q", tc.doc, err, tc.reason, tc.pointer)
		}
	}
}

// FuzzJSON: what is accepted keeps its meaning, is canonical already when put
// through again, and nothing panics.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.7}`,
		`{"a":1,"a":2}`, `[1e21,1E-7,-0,9007199254740993]`, `"\ud83d\ude00\u0000"`, `{"\u0061":[],"b":{}}`, `nul`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		out, err := canonical.JSON(doc)
		if err != nil {
			return
		}
		again, err := canonical.JSON(out)
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("not a fixed point: %q -> %q -> %q (%v)", doc, out, again, err)
		}
		var a, b any
		if json.Unmarshal(doc, &a) != nil || json.Unmarshal(out, &b) != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("meaning changed: %q -> %q", doc, out)
		}
	})
}
