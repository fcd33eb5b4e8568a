package canonical_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gowebpki/jcs"

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

// The order of keys is that of their UTF-16 code units, in which U+1F600 is before U+FB33,
// at every level, and also of keys that are written with escapes.
func TestMembersAreInOrder(t *testing.T) {
	t.Parallel()
	doc := `{"\ufb33":1,"😀":{"b":[{"d":1,"c":2}],"\u0061":0},"z":"é","":null}`
	all, err := canonical.Members([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range all {
		got = append(got, fmt.Sprintf("%s %s %s", m.Key, m.Raw, m.JSON))
	}
	want := []string{
		` null null`, `z "é" "é"`, `😀 {"b":[{"d":1,"c":2}],"\u0061":0} {"a":0,"b":[{"c":2,"d":1}]}`, "\ufb33 1 1",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, doc := range []string{`[]`, `null`, `"a"`} {
		if _, err := canonical.Members([]byte(doc)); err == nil || !strings.Contains(err.Error(), "object") {
			t.Errorf("%s: got %v, want it refused", doc, err)
		}
	}
}

func TestAppendString(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a\"\\/<é😀\u2028", "\x00\b\t\n\f\r\x1f\x7f", "\xff\xfe a\xe2\x82", "\ufffd"} {
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		want, err := canonical.JSON(quoted)
		if got := canonical.AppendString([]byte("x"), s); err != nil || string(got) != "x"+string(want) {
			t.Errorf("%q: got %s, want x%s (%v)", s, got, want, err)
		}
	}
}

// FuzzJSON: what is accepted keeps its meaning, is canonical already when put
// through again and what another canonicalizer makes of it, and nothing panics. What is
// refused for its syntax is no JSON.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{
		`{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.7}`,
		`{"\ufb33":1,"😀":[{"b":1.50,"a":-0.0}],"a\/":"\t\u001f","":1e-7}`, `{"a":1,"a":2}`, `[1e21,1E-7,-0,9007199254740993]`, `"\ud83d\ude00\u0000"`, `{"\u0061":[],"b":{}}`, `nul`, ``,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		out, err := canonical.JSON(doc)
		if e, ok := errors.AsType[*canonical.Error](err); ok && e.Syntax && json.Valid(doc) && utf8.Valid(doc) {
			t.Fatalf("%q: %v", doc, err)
		}
		if err != nil {
			return
		}
		if want, err := jcs.Transform(doc); err != nil || !bytes.Equal(out, want) {
			t.Fatalf("%q: got %s, want %s (%v)", doc, out, want, err)
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
