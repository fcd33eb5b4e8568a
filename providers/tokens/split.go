package tokens

import (
	"unicode"
	"unicode/utf8"
)

// split returns the length in bytes of the first piece of s, which is not
// empty. Pieces are what the pattern of o200k_base finds, one after the other;
// no token reaches over the end of one:
//
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?
//	\p{N}{1,3}
//	 ?[^\s\p{L}\p{N}]+[\r\n/]*
//	\s*[\r\n]+
//	\s+(?!\S)
//	\s+
//
// It takes time in proportion to the piece, where an engine for patterns may
// take the square of it.
func split(s []byte) int {
	first, size := classAt(s)
	switch {
	case first.is(number):
		return numbers(s)
	case first.is(letter):
		return word(s, 0)
	case !first.is(newline):
		if n := prefixed(s, first, size); n > 0 {
			return n
		}
	}
	switch {
	case first.is(mark):
		return word(s, 0)
	case first.is(space | newline):
		if n := punctuation(s, size); s[0] == ' ' && n > size {
			return n
		}
		return spaces(s)
	default:
		return punctuation(s, 0)
	}
}

// prefixed returns the length of a word behind the one character of s, which
// belongs to it, or 0 if there is none. A mark that is no prefix may itself
// begin a word; one before upper case alone ends it.
func prefixed(s []byte, first class, size int) int {
	next, _ := classAt(s[size:])
	if !next.is(upper | lower) {
		return 0
	}
	n := word(s, size)
	if first.is(mark) && !endsLower(s, size) {
		return word(s, 0)
	}
	return n
}

// word returns the end of the word in s whose letters begin at start: upper
// case and then lower case, where scripts without case count as both; or upper
// case alone. A contraction belongs to it.
func word(s []byte, start int) int {
	end := start
	lowered := -1 // behind the last character that can be the lower part
	for end < len(s) {
		c, size := classAt(s[end:])
		if !c.is(upper) {
			break
		}
		end += size
		if c.is(lower) {
			lowered = end
		}
	}
	if c, _ := classAt(s[end:]); c.is(lower) {
		lowered = run(s, end, lower)
	}
	if lowered > 0 {
		end = lowered
	}
	return end + contraction(s[end:])
}

// endsLower reports whether the word at start has a lower part.
func endsLower(s []byte, start int) bool {
	for start < len(s) {
		c, size := classAt(s[start:])
		if c.is(lower) {
			return true
		}
		if !c.is(upper) {
			return false
		}
		start += size
	}
	return false
}

// contraction returns the length of the 's, 't, 're, 've, 'm, 'll or 'd at the
// beginning of s, in any case, or 0.
func contraction(s []byte) int {
	if len(s) < 2 || s[0] != '\'' {
		return 0
	}
	switch s[1] | 0x20 {
	case 's', 't', 'm', 'd':
		return 2
	}
	if len(s) < 3 {
		return 0
	}
	switch string([]byte{s[1] | 0x20, s[2] | 0x20}) {
	case "re", "ve", "ll":
		return 3
	}
	if s[1] == 0xc5 && s[2] == 0xbf { // ſ, which is an s
		return 3
	}
	return 0
}

// numbers returns the length of up to three numbers at the beginning of s.
func numbers(s []byte) int {
	end := 0
	for range 3 {
		c, size := classAt(s[end:])
		if !c.is(number) {
			break
		}
		end += size
	}
	return end
}

// punctuation returns the end of what is neither space nor letter nor number
// from start on, with the newlines and slashes behind it; start if there is
// nothing.
func punctuation(s []byte, start int) int {
	end := run(s, start, mark|other)
	for end > start && end < len(s) && (s[end] == '\n' || s[end] == '\r' || s[end] == '/') {
		end++
	}
	return end
}

// spaces returns the length of the first piece of the spaces at the beginning
// of s: up to the last newline; all of them at the end of the text; all but the
// last, which belongs to what follows; or the only one.
func spaces(s []byte) int {
	end, last, newlines := 0, 0, 0
	for end < len(s) {
		c, size := classAt(s[end:])
		if !c.is(space | newline) {
			break
		}
		last = end
		end += size
		if c.is(newline) {
			newlines = end
		}
	}
	switch {
	case newlines > 0:
		return newlines
	case end == len(s), last == 0:
		return end
	default:
		return last
	}
}

// run returns where the characters of the classes in want end that begin at
// start.
func run(s []byte, start int, want class) int {
	for start < len(s) {
		c, size := classAt(s[start:])
		if !c.is(want) {
			break
		}
		start += size
	}
	return start
}

// class is a set of what a character can be.
type class uint8

const (
	upper   class = 1 << iota // can be in the first part of a word
	lower                     // can be in the second
	letter                    // is a letter, which marks are not
	mark                      // combines with what is before it
	number                    // a digit or another number
	space                     // white space that ends no line
	newline                   // ends a line
	other                     // anything else
)

func (c class) is(one class) bool { return c&one != 0 }

// classAt returns the class of the first character of s and its length; none
// at the end.
func classAt(s []byte) (class, int) {
	if len(s) == 0 {
		return 0, 0
	}
	if s[0] < utf8.RuneSelf {
		return ascii[s[0]], 1
	}
	r, size := utf8.DecodeRune(s)
	return classOf(r), size
}

var ascii = func() (table [utf8.RuneSelf]class) {
	for i := range table {
		table[i] = classOf(rune(i))
	}
	return table
}()

func classOf(r rune) class {
	switch {
	case r == '\n', r == '\r':
		return newline
	case unicode.IsLower(r):
		return lower | letter
	case unicode.IsUpper(r), unicode.IsTitle(r):
		return upper | letter
	case unicode.IsLetter(r):
		return upper | lower | letter
	case unicode.IsMark(r):
		return upper | lower | mark
	case unicode.IsNumber(r):
		return number
	case unicode.IsSpace(r):
		return space
	default:
		return other
	}
}
