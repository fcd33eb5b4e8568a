package tokens

import (
	"bytes"
	"strconv"
)

// scanner reads JSON from front to back, each byte once. What is not JSON it
// reads as something else, but always to an end.
type scanner struct {
	data []byte
	at   int
}

// peek returns the first byte of the next value or delimiter, without moving;
// 0 at the end.
func (s *scanner) peek() byte {
	for s.at < len(s.data) {
		switch c := s.data[s.at]; c {
		case ' ', '\t', '\n', '\r', ',', ':':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// enter moves into the object or array that begins with open, and reports
// whether there is one.
func (s *scanner) enter(open byte) bool {
	if s.peek() != open {
		return false
	}
	s.at++
	return true
}

// more reports whether an entered object or array has another member; after
// the last one it moves behind the end.
func (s *scanner) more() bool {
	switch s.peek() {
	case '}', ']':
		s.at++
		return false
	case 0:
		return false
	default:
		return true
	}
}

// text reads a string and returns it as it is written, escapes and all.
func (s *scanner) text() []byte {
	if !s.enter('"') {
		s.skip()
		return nil
	}
	start := s.at
	for s.at < len(s.data) {
		quote := bytes.IndexByte(s.data[s.at:], '"')
		if quote < 0 {
			break
		}
		s.at += quote + 1
		if !escaped(s.data[start : s.at-1]) {
			return s.data[start : s.at-1]
		}
	}
	s.at = len(s.data)
	return s.data[start:]
}

// escaped reports whether what follows b is escaped: b ends with an odd number
// of backslashes.
func escaped(b []byte) (odd bool) {
	for i := len(b) - 1; i >= 0 && b[i] == '\\'; i-- {
		odd = !odd
	}
	return odd
}

// number reads a whole number; anything else is read too and is 0.
func (s *scanner) number() int64 {
	n, err := strconv.ParseInt(string(s.skip()), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// skip reads the next value, however deep, and returns it as it is written.
func (s *scanner) skip() []byte {
	first := s.peek()
	start := s.at
	switch first {
	case '"':
		s.text()
	case '{', '[':
		s.nested()
	default:
		for s.at < len(s.data) && bytes.IndexByte([]byte(" \t\n\r,:]}"), s.data[s.at]) < 0 {
			s.at++
		}
		if s.at == start && s.at < len(s.data) {
			s.at++ // a delimiter where a value should be
		}
	}
	return s.data[start:s.at]
}

// nested moves behind an object or array.
func (s *scanner) nested() {
	for depth := 0; ; {
		switch s.peek() {
		case '{', '[':
			depth++
			s.at++
		case '}', ']':
			depth--
			s.at++
		case '"':
			s.text()
		case 0:
			if s.at >= len(s.data) {
				return
			}
			s.at++
		default:
			s.at++
		}
		if depth == 0 {
			return
		}
	}
}
