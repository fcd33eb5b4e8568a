// Package canonical turns JSON into the one form that equal JSON has in
// common, RFC 8785 (JSON Canonicalization Scheme), and refuses what would
// canonicalise to somebody else's JSON.
package canonical

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gowebpki/jcs"
)

// MaxDepth is how deep objects and arrays may nest.
const MaxDepth = 64

// Error says what is wrong with a document, and where.
type Error struct {
	// Pointer is the RFC 6901 JSON pointer of the value at fault; empty is the
	// whole document.
	Pointer string
	// Reason does not quote the document's values.
	Reason string
}

// Error says the pointer and the reason.
func (e *Error) Error() string {
	if e.Pointer == "" {
		return e.Reason
	}
	return e.Pointer + ": " + e.Reason
}

// JSON returns doc in canonical form. It refuses, as *[Error]: what is not one
// JSON value in UTF-8, duplicate keys, lone surrogates, integers beyond 2⁵³,
// numbers that do not fit a double, and nesting deeper than [MaxDepth].
func JSON(doc []byte) ([]byte, error) {
	if !utf8.Valid(doc) {
		return nil, &Error{Reason: "not valid UTF-8"}
	}
	if err := check(doc); err != nil {
		return nil, err
	}
	out, err := jcs.Transform(doc)
	if err != nil {
		// jcs quotes what it met; its words stay here.
		return nil, &Error{Reason: "holds a string that is not valid Unicode"}
	}
	return out, nil
}

// check walks doc once, in constant memory but for the keys of open objects.
func check(doc []byte) error {
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.UseNumber()
	w := walker{dec: dec}
	if err := w.value(); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return &Error{Reason: "more follows after the JSON value"}
	}
	return nil
}

// walker reads one value after another; path names the one it is at.
type walker struct {
	dec  *json.Decoder
	path []string
}

func (w *walker) value() error {
	tok, err := w.dec.Token()
	if err != nil {
		return w.syntax(err)
	}
	switch t := tok.(type) {
	case json.Delim:
		if len(w.path) >= MaxDepth {
			return w.fail("nests deeper than %d levels", MaxDepth)
		}
		if t == '{' {
			return w.object()
		}
		return w.array()
	case json.Number:
		return w.number(t.String())
	default:
		return nil
	}
}

func (w *walker) object() error {
	seen := map[string]bool{}
	for w.dec.More() {
		tok, err := w.dec.Token()
		if err != nil {
			return w.syntax(err)
		}
		key, ok := tok.(string)
		if !ok {
			return w.fail("not valid JSON")
		}
		w.path = append(w.path, key)
		if seen[key] {
			return w.fail("this key is there twice")
		}
		seen[key] = true
		if err := w.value(); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	return w.end()
}

func (w *walker) array() error {
	for i := 0; w.dec.More(); i++ {
		w.path = append(w.path, strconv.Itoa(i))
		if err := w.value(); err != nil {
			return err
		}
		w.path = w.path[:len(w.path)-1]
	}
	return w.end()
}

func (w *walker) end() error {
	if _, err := w.dec.Token(); err != nil {
		return w.syntax(err)
	}
	return nil
}

const exact = 1 << 53

func (w *walker) number(s string) error {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return w.fail("the number does not fit a double")
	}
	// 2⁵³ itself is what 2⁵³+1 rounds to: only its own digits are believed.
	if math.Abs(f) > exact || (math.Abs(f) == exact && strings.TrimPrefix(s, "-") != strconv.Itoa(exact)) {
		return w.fail("integers beyond 2^53 are not exact in JSON; send a string")
	}
	return nil
}

func (w *walker) fail(format string, args ...any) error {
	return &Error{Pointer: Pointer(w.path...), Reason: fmt.Sprintf(format, args...)}
}

func (w *walker) syntax(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return w.fail("the JSON ends too early")
	}
	return w.fail("not valid JSON at byte %d", w.dec.InputOffset())
}

// Pointer returns the RFC 6901 JSON pointer of the given keys.
func Pointer(keys ...string) string {
	var b strings.Builder
	for _, k := range keys {
		b.WriteByte('/')
		b.WriteString(strings.NewReplacer("~", "~0", "/", "~1").Replace(k))
	}
	return b.String()
}
