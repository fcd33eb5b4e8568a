package canonical

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// writer reads doc once, from its beginning to its end, and writes it to out in
// canonical form as it goes. Members that came in another order than theirs are put
// into it when their object ends.
type writer struct {
	doc []byte
	at  int
	out []byte
	// path is where in doc it is, by the keys and places of what is open.
	path []step
	// members are those of all open objects, the innermost last; kept those of the
	// document itself, if they are to be.
	members []member
	keep    bool
	kept    []member
	// spare is where members are while they are put in order.
	spare []byte
}

// step is a key, or, if that is nil, a place in an array.
type step struct {
	key   []byte
	place int
}

// member is one of an object: key and value are from begin to end in out, the value
// alone from value on; and from raw to rawEnd in doc.
type member struct {
	key               []byte
	begin, value, end int
	raw, rawEnd       int
}

func (w *writer) document() error {
	if !utf8.Valid(w.doc) {
		return &Error{Reason: "not valid UTF-8", Syntax: true}
	}
	w.out = make([]byte, 0, len(w.doc))
	if err := w.value(); err != nil {
		return err
	}
	if w.space(); w.at < len(w.doc) {
		return &Error{Reason: "more follows after the JSON value", Syntax: true}
	}
	return nil
}

func (w *writer) value() error {
	w.space()
	switch c := w.peek(); {
	case c == '{' || c == '[':
		if len(w.path) >= MaxDepth {
			return w.fail("nests deeper than %d levels", MaxDepth)
		}
		w.at++
		w.out = append(w.out, c)
		if c == '{' {
			return w.object()
		}
		return w.array()
	case c == '"':
		_, err := w.text()
		return err
	case c == '-' || c >= '0' && c <= '9':
		return w.number()
	case c == 't':
		return w.literal("true")
	case c == 'f':
		return w.literal("false")
	default:
		return w.literal("null")
	}
}

// array writes what follows a bracket that opens.
func (w *writer) array() error {
	if w.space(); w.peek() == ']' {
		return w.end()
	}
	w.path = append(w.path, step{})
	for i := 0; ; i++ {
		w.path[len(w.path)-1].place = i
		if err := w.value(); err != nil {
			return err
		}
		switch w.space(); w.peek() {
		case ',':
			w.at++
			w.out = append(w.out, ',')
		case ']':
			w.path = w.path[:len(w.path)-1]
			return w.end()
		default:
			return w.syntax()
		}
	}
}

// object writes what follows a brace that opens.
func (w *writer) object() error {
	if w.space(); w.peek() == '}' {
		return w.end()
	}
	first, begin := len(w.members), len(w.out)
	for {
		if err := w.member(); err != nil {
			return err
		}
		switch w.space(); w.peek() {
		case ',':
			w.at++
			w.out = append(w.out, ',')
		case '}':
			if err := w.order(w.members[first:], begin); err != nil {
				return err
			}
			w.members = w.members[:first]
			return w.end()
		default:
			return w.syntax()
		}
	}
}

// end writes what closes an array or object.
func (w *writer) end() error {
	w.out = append(w.out, w.doc[w.at])
	w.at++
	return nil
}

func (w *writer) member() error {
	m := member{begin: len(w.out)}
	if w.space(); w.peek() != '"' {
		return w.syntax()
	}
	begin := w.at
	plain, err := w.text()
	if err != nil {
		return err
	}
	if m.key = w.doc[begin+1 : w.at-1]; !plain {
		m.key = decoded(w.out[m.begin:])
	}
	w.path = append(w.path, step{key: m.key})
	if w.space(); w.peek() != ':' {
		return w.syntax()
	}
	w.at++
	w.out = append(w.out, ':')
	w.space()
	m.value, m.raw = len(w.out), w.at
	if err := w.value(); err != nil {
		return err
	}
	m.end, m.rawEnd = len(w.out), w.at
	w.path = w.path[:len(w.path)-1]
	w.members = append(w.members, m)
	return nil
}

// order puts the members of an object, which are in out from begin on, in the order of
// their keys, and refuses keys that are there twice.
func (w *writer) order(all []member, begin int) error {
	byKey := func(a, b member) int { return compare(a.key, b.key) }
	sorted := slices.IsSortedFunc(all, byKey)
	if !sorted {
		slices.SortFunc(all, byKey)
	}
	for i := 1; i < len(all); i++ {
		if bytes.Equal(all[i-1].key, all[i].key) {
			w.path = append(w.path, step{key: all[i].key})
			return w.fail("this key is there twice")
		}
	}
	if !sorted {
		w.spare = append(w.spare[:0], w.out[begin:]...)
		w.out = w.out[:begin]
		for i := range all {
			m := &all[i]
			if i > 0 {
				w.out = append(w.out, ',')
			}
			moved := len(w.out) - m.begin
			w.out = append(w.out, w.spare[m.begin-begin:m.end-begin]...)
			m.begin, m.value, m.end = m.begin+moved, m.value+moved, m.end+moved
		}
	}
	if w.keep && len(w.path) == 0 {
		w.kept = slices.Clone(all)
	}
	return nil
}

// compare orders keys by their UTF-16 code units, as RFC 8785, 3.2.3 has it. That is the
// order of their bytes unless one has a character of U+E000 or beyond.
func compare(a, b []byte) int {
	const beyond = 0xee // the first byte of U+E000
	if !slices.ContainsFunc(a, func(c byte) bool { return c >= beyond }) &&
		!slices.ContainsFunc(b, func(c byte) bool { return c >= beyond }) {
		return bytes.Compare(a, b)
	}
	return slices.Compare(utf16.Encode([]rune(string(a))), utf16.Encode([]rune(string(b))))
}

func (w *writer) literal(word string) error {
	rest := w.doc[w.at:]
	same := 0
	for same < min(len(rest), len(word)) && rest[same] == word[same] {
		same++
	}
	if w.at += same; same < len(word) {
		return w.syntax()
	}
	w.out = append(w.out, word...)
	return nil
}

// space passes over white space.
func (w *writer) space() {
	for w.at < len(w.doc) {
		switch w.doc[w.at] {
		case ' ', '\t', '\n', '\r':
			w.at++
		default:
			return
		}
	}
}

// peek returns the next byte; 0 at the end, and 0 is in no JSON.
func (w *writer) peek() byte {
	if w.at < len(w.doc) {
		return w.doc[w.at]
	}
	return 0
}

func (w *writer) fail(format string, args ...any) *Error {
	keys := make([]string, len(w.path))
	for i, s := range w.path {
		if keys[i] = string(s.key); s.key == nil {
			keys[i] = strconv.Itoa(s.place)
		}
	}
	return &Error{Pointer: Pointer(keys...), Reason: fmt.Sprintf(format, args...)}
}

// syntax says that what is next is not what JSON has there.
func (w *writer) syntax() error {
	e := w.fail("not valid JSON at byte %d", w.at)
	if w.at >= len(w.doc) {
		e.Reason = "the JSON ends too early"
	}
	e.Syntax = true
	return e
}

// decoded returns what a string says that has escapes in it.
func decoded(text []byte) []byte {
	var s string
	_ = json.Unmarshal(text, &s) // the writer's own canonical form
	return []byte(s)
}
