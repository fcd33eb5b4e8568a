package surface

import "io"

// maxBlank is how much white space between two tokens is passed on.
const maxBlank = 4 << 10

// Tight returns JSON as it comes from r, but for white space beyond 4 KiB at a place: a
// [encoding/json.Decoder] holds all that is before a token, and looks at it again with each
// byte that follows, so that a body of blanks that trickles in would keep a processor busy.
func Tight(r io.Reader) io.Reader { return &tight{from: r} }

type tight struct {
	from io.Reader
	// quoted says that what follows is in a string, escaped that it is behind a backslash.
	quoted, escaped bool
	blanks          int
}

// Read implements [io.Reader].
func (t *tight) Read(p []byte) (int, error) {
	for {
		n, err := t.from.Read(p)
		kept := t.keep(p[:n])
		if kept > 0 || err != nil || n == 0 {
			return kept, err
		}
	}
}

// keep moves what is passed on to the beginning of p, and returns how much that is.
func (t *tight) keep(p []byte) (n int) {
	for _, c := range p {
		switch {
		case t.escaped:
			t.escaped = false
		case t.quoted:
			t.escaped, t.quoted = c == '\\', c != '"'
		case c == ' ', c == '\t', c == '\r', c == '\n':
			if t.blanks++; t.blanks > maxBlank {
				continue
			}
		default:
			t.quoted, t.blanks = c == '"', 0
		}
		p[n] = c
		n++
	}
	return n
}
