package redact

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// keepsModel is the one key, of the outermost object, whose value stays.
const keepsModel = "model"

// rewriteStrings returns the JSON object doc with its string values rewritten,
// but for the model. All other bytes stay as they are, and so do the strings
// that come back the same. What is not JSON is an error, which does not quote it.
func rewriteStrings(doc json.RawMessage, rewrite func(string) string) (json.RawMessage, error) {
	w := rewriter{doc: doc, dec: json.NewDecoder(bytes.NewReader(doc)), rewrite: rewrite}
	w.dec.UseNumber()
	for {
		err := w.next()
		if errors.Is(err, io.EOF) && len(w.open) == 0 {
			return append(w.out, doc[w.copied:]...), nil
		}
		if err != nil {
			return nil, errors.New("the request is not JSON")
		}
	}
}

// rewriter walks a document token by token.
type rewriter struct {
	doc     []byte
	dec     *json.Decoder
	rewrite func(string) string
	// open is the objects and arrays around the token, the innermost last.
	open []container
	out  []byte
	// copied is up to where doc is in out.
	copied int
}

// container is an object or an array that is being read.
type container struct {
	object bool
	// key is the last key read; hasKey says that its value comes next.
	key    string
	hasKey bool
}

// next reads a token; its error is [io.EOF] at the end.
func (w *rewriter) next() error {
	before := w.dec.InputOffset()
	token, err := w.dec.Token()
	if err != nil {
		return err
	}
	switch t := token.(type) {
	case json.Delim:
		w.delimiter(t)
	case string:
		w.text(t, before)
	default:
		w.valueEnds()
	}
	return nil
}

func (w *rewriter) delimiter(d json.Delim) {
	switch d {
	case '{', '[':
		w.open = append(w.open, container{object: d == '{'})
	default:
		w.open = w.open[:len(w.open)-1]
		w.valueEnds()
	}
}

// valueEnds makes the innermost object expect a key.
func (w *rewriter) valueEnds() {
	if n := len(w.open); n > 0 {
		w.open[n-1].hasKey = false
	}
}

// text takes a string, which begins somewhere after the given offset.
func (w *rewriter) text(s string, after int64) {
	if n := len(w.open); n > 0 && w.open[n-1].object && !w.open[n-1].hasKey {
		w.open[n-1].key, w.open[n-1].hasKey = s, true
		return
	}
	keep := len(w.open) == 1 && w.open[0].key == keepsModel
	w.valueEnds()
	if keep {
		return
	}
	if redacted := w.rewrite(s); redacted != s {
		// Between two tokens there are only spaces, commas and colons.
		begin := int(after) + bytes.IndexByte(w.doc[after:], '"')
		w.out = append(append(w.out, w.doc[w.copied:begin]...), encode(redacted)...)
		w.copied = int(w.dec.InputOffset())
	}
}

// encode returns s as JSON, with nothing escaped that need not be.
func encode(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string into memory
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
