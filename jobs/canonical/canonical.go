// Package canonical turns JSON into the one form that equal JSON has in
// common, RFC 8785 (JSON Canonicalization Scheme), and refuses what would
// canonicalise to somebody else's JSON.
package canonical

import (
	"slices"
	"strings"
	"unicode/utf8"
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
	// Syntax says that the document is no JSON; else it is JSON that is refused.
	Syntax bool
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
	w := writer{doc: doc}
	if err := w.document(); err != nil {
		return nil, err
	}
	return w.out, nil
}

// Member is one of the members of an object.
type Member struct {
	Key string
	// Raw is the value as it was written, JSON in canonical form.
	Raw, JSON []byte
}

// Members returns those of doc in the order of the canonical form. It refuses what
// [JSON] does, and what is no object. Nothing of it is a copy of doc's bytes.
func Members(doc []byte) ([]Member, error) {
	w := writer{doc: doc, keep: true}
	if err := w.document(); err != nil {
		return nil, err
	}
	if w.out[0] != '{' {
		return nil, &Error{Reason: "must be a JSON object"}
	}
	all := make([]Member, len(w.kept))
	for i, m := range w.kept {
		all[i] = Member{
			Key: string(m.key), Raw: slices.Clip(doc[m.raw:m.rawEnd]), JSON: slices.Clip(w.out[m.value:m.end]),
		}
	}
	return all, nil
}

// AppendString appends s as a string in canonical form. Bytes that are not UTF-8 are
// written as U+FFFD.
func AppendString(out []byte, s string) []byte {
	out = append(out, '"')
	for i, r := range s {
		if r != utf8.RuneError && r >= ' ' && r != '"' && r != '\\' {
			out = append(out, s[i:i+utf8.RuneLen(r)]...)
			continue
		}
		out = appendRune(out, r)
	}
	return append(out, '"')
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
