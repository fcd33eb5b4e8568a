package tokens

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// exactText is how many bytes of text are counted one by one. Of what
	// follows, up to twice as many, every second window is counted and stands for
	// two; up to twice as many again, every fourth; and so on. 8 MiB cost as much
	// as 48 KiB.
	exactText = 8 << 10
	// window is how many bytes are counted or left out together.
	window = 256
	// seam is how many bytes a window may be longer, to end before a space.
	seam = 32
)

// sampler counts the tokens of many pieces of text. The zero value of it needs
// a counter.
type sampler struct {
	count func([]byte) int
	// seen is how many bytes there were so far.
	seen   int
	tokens int64
	buffer []byte
}

// add counts a string as it is written in JSON.
func (s *sampler) add(raw []byte) {
	for len(raw) > 0 {
		size := s.next(raw)
		if weight := s.weight(); weight > 0 {
			s.tokens += weight * int64(s.count(s.unescape(raw[:size])))
		}
		s.seen += size
		raw = raw[size:]
	}
}

// next returns how much of raw belongs to the current window.
func (s *sampler) next(raw []byte) int {
	if s.seen < exactText {
		return end(raw, exactText-s.seen)
	}
	return end(raw, window-s.seen%window)
}

// end returns where to cut raw at size or a little later: before a space, else
// between two characters.
func end(raw []byte, size int) int {
	if size >= len(raw) {
		return len(raw)
	}
	last := min(len(raw), size+seam)
	if space := bytes.IndexByte(raw[size:last], ' '); space >= 0 {
		return size + space
	}
	for size < last && (!utf8.RuneStart(raw[size]) || bytes.IndexByte(raw[max(0, size-12):size], '\\') >= 0) {
		size++
	}
	return size
}

// weight returns for how many windows the current one stands; 0 if another
// stands for it.
func (s *sampler) weight() int64 {
	weight := 1
	for limit := exactText; s.seen >= limit; limit *= 2 {
		weight *= 2
	}
	if s.seen/window%weight != weight/2 {
		return 0
	}
	return int64(weight)
}

// unescape returns the text that a JSON string stands for. It is good until the
// next call.
func (s *sampler) unescape(raw []byte) []byte {
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw
	}
	out := s.buffer[:0]
	for len(raw) > 0 {
		plain := bytes.IndexByte(raw, '\\')
		if plain < 0 || plain+1 >= len(raw) {
			out = append(out, raw...)
			break
		}
		out = append(out, raw[:plain]...)
		raw = raw[plain+1:]
		if raw[0] == 'u' {
			out, raw = unescapeRune(out, raw)
			continue
		}
		out = append(out, unescaped(raw[0]))
		raw = raw[1:]
	}
	s.buffer = out
	return out
}

func unescaped(c byte) byte {
	switch c {
	case 'n':
		return '\n'
	case 't':
		return '\t'
	case 'r':
		return '\r'
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	default:
		return c
	}
}

// unescapeRune appends the character that raw begins with, as uXXXX or as
// surrogate pair uXXXX\uXXXX, and returns what follows.
func unescapeRune(out, raw []byte) (text, rest []byte) {
	r, ok := hex4(raw)
	if !ok {
		return append(out, raw[0]), raw[1:]
	}
	raw = raw[5:]
	if utf16.IsSurrogate(r) && len(raw) > 1 && raw[0] == '\\' {
		if low, ok := hex4(raw[1:]); ok {
			if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
				return utf8.AppendRune(out, pair), raw[6:]
			}
		}
	}
	return utf8.AppendRune(out, r), raw
}

// hex4 reads uXXXX.
func hex4(raw []byte) (rune, bool) {
	if len(raw) < 5 || raw[0] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(raw[1:5]), 16, 16)
	return rune(n), err == nil
}
