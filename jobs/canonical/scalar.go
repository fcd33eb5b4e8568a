package canonical

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// text writes a string, which begins here. It reports whether that has no escapes.
func (w *writer) text() (plain bool, err error) {
	from := w.at + 1
	w.out = append(w.out, '"')
	plain = true
	for i := from; i < len(w.doc); {
		switch c := w.doc[i]; {
		case c == '"':
			w.out = append(append(w.out, w.doc[from:i]...), '"')
			w.at = i + 1
			return plain, nil
		case c == '\\':
			w.out = append(w.out, w.doc[from:i]...)
			w.at, plain = i, false
			if err := w.escape(); err != nil {
				return false, err
			}
			i, from = w.at, w.at
		case c < ' ':
			w.at = i
			return false, w.syntax()
		default:
			i++
		}
	}
	w.at = len(w.doc)
	return false, w.syntax()
}

// unescaped is what the letter after a backslash stands for.
var unescaped = [256]rune{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// escape writes the character that an escape, which begins here, stands for.
func (w *writer) escape() error {
	w.at++
	c := w.peek()
	if r := unescaped[c]; r != 0 {
		w.at++
		w.out = appendRune(w.out, r)
		return nil
	}
	if c != 'u' {
		return w.syntax()
	}
	r, err := w.unit()
	if err != nil {
		return err
	}
	if utf16.IsSurrogate(r) {
		if w.peek() != '\\' || w.at+1 >= len(w.doc) || w.doc[w.at+1] != 'u' {
			return w.fail(notUnicode)
		}
		w.at++
		low, err := w.unit()
		if err != nil {
			return err
		}
		if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
			return w.fail(notUnicode)
		}
	}
	w.out = appendRune(w.out, r)
	return nil
}

const notUnicode = "holds a string that is not valid Unicode"

// unit reads the u of an escape and its four digits.
func (w *writer) unit() (rune, error) {
	w.at++
	var r rune
	for range 4 {
		c := w.peek()
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, w.syntax()
		}
		w.at++
	}
	return r, nil
}

// appendRune appends a character of a string: escaped if, and as, RFC 8785, 3.2.2.2 has
// it.
func appendRune(out []byte, r rune) []byte {
	const digits = "0123456789abcdef"
	switch r {
	case '"', '\\':
		return append(out, '\\', byte(r))
	case '\b':
		return append(out, '\\', 'b')
	case '\t':
		return append(out, '\\', 't')
	case '\n':
		return append(out, '\\', 'n')
	case '\f':
		return append(out, '\\', 'f')
	case '\r':
		return append(out, '\\', 'r')
	}
	if r < ' ' {
		return append(out, '\\', 'u', '0', '0', digits[r>>4], digits[r&0xf])
	}
	return utf8.AppendRune(out, r)
}

const (
	// exact is 2⁵³: whole numbers up to it are doubles of their own.
	exact = 1 << 53
	// surely is how many digits a whole number below that has.
	surely = 15
)

// number writes a number, which begins here.
func (w *writer) number() error {
	begin := w.at
	whole, err := w.numeral()
	if err != nil {
		return err
	}
	s := w.doc[begin:w.at]
	if whole && len(s) <= surely && s[0] != '-' {
		w.out = append(w.out, s...)
		return nil
	}
	f, err := strconv.ParseFloat(string(s), 64)
	if err != nil {
		return w.fail("the number does not fit a double")
	}
	// 2⁵³ itself is what 2⁵³+1 rounds to: only its own digits are believed.
	if math.Abs(f) > exact || (math.Abs(f) == exact && strings.TrimPrefix(string(s), "-") != strconv.Itoa(exact)) {
		return w.fail("integers beyond 2^53 are not exact in JSON; send a string")
	}
	w.out = appendNumber(w.out, f)
	return nil
}

// numeral passes over a number and reports whether it is one without fraction and
// exponent.
func (w *writer) numeral() (whole bool, err error) {
	if w.peek() == '-' {
		w.at++
	}
	if w.peek() == '0' {
		w.at++
	} else if !w.digits() {
		return false, w.syntax()
	}
	whole = true
	if w.peek() == '.' {
		w.at++
		if whole = false; !w.digits() {
			return false, w.syntax()
		}
	}
	if w.peek()|0x20 == 'e' {
		w.at++
		if c := w.peek(); c == '+' || c == '-' {
			w.at++
		}
		if whole = false; !w.digits() {
			return false, w.syntax()
		}
	}
	return whole, nil
}

// digits passes over digits and reports whether there were any.
func (w *writer) digits() bool {
	begin := w.at
	for c := w.peek(); c >= '0' && c <= '9'; c = w.peek() {
		w.at++
	}
	return w.at > begin
}

// appendNumber appends f, which is at most 2⁵³ either way, as ECMAScript writes it.
func appendNumber(out []byte, f float64) []byte {
	const smallest = 1e-6 // that is written without an exponent
	if f == 0 {
		return append(out, '0') // also for -0
	}
	if math.Abs(f) >= smallest {
		return strconv.AppendFloat(out, f, 'f', -1, 64)
	}
	out = strconv.AppendFloat(out, f, 'e', -1, 64)
	if n := len(out); out[n-2] == '0' { // e-07 is written as e-7
		out[n-2] = out[n-1]
		out = out[:n-1]
	}
	return out
}
