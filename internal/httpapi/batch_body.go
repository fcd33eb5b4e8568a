package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/canonical"
)

// batchBody takes a submission of a batch apart as it arrives: of its requests no more
// than one is held at a time.
type batchBody struct {
	dec  *json.Decoder
	gate *gate
	// fields are all but requests, raw.
	fields map[string]json.RawMessage
	size   int
	// begin is called before the first request, with the fields said so far; then request
	// for each, whose body it may not keep.
	begin   func(fields map[string]json.RawMessage) error
	request func(customID string, body json.RawMessage) error
	// body is that of the request, again and again.
	body json.RawMessage
}

func newBatchBody(r io.Reader) *batchBody {
	g := &gate{from: r}
	dec := json.NewDecoder(g)
	dec.UseNumber()
	return &batchBody{dec: dec, gate: g, fields: map[string]json.RawMessage{}}
}

// read reads the whole body.
func (b *batchBody) read() error {
	err := b.object("", maxFields, func(name string) error {
		if name == "requests" {
			return b.all()
		}
		return b.field(name)
	})
	if err != nil {
		return err
	}
	b.gate.let(b.dec, "", maxFields)
	switch _, err := b.dec.Token(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return b.wrong("", err)
	default:
		return jobs.Invalid("", "the body: more follows after the JSON value")
	}
}

// object reads an object, each of its members with member. Before each a value of so many
// bytes is let by.
func (b *batchBody) object(at string, most int64, member func(name string) error) error {
	b.gate.let(b.dec, at, most)
	switch token, err := b.dec.Token(); {
	case err != nil:
		return b.wrong(at, err)
	case token != json.Delim('{'):
		return jobs.Invalid(at, "must be a JSON object")
	}
	seen := map[string]bool{}
	for b.dec.More() {
		token, err := b.dec.Token()
		if err != nil {
			return b.wrong(at, err)
		}
		name, _ := token.(string) // else the decoder would have refused it
		if seen[name] {
			return jobs.Invalid(at+canonical.Pointer(name), "is there twice")
		}
		seen[name] = true
		if err := member(name); err != nil {
			return err
		}
		b.gate.let(b.dec, at, most)
	}
	_, err := b.dec.Token()
	return b.wrong(at, err)
}

// field reads a field that is kept until the end.
func (b *batchBody) field(name string) error {
	at := canonical.Pointer(name)
	var raw json.RawMessage
	if err := b.dec.Decode(&raw); err != nil {
		return b.wrong(at, err)
	}
	if b.size += len(name) + len(raw); b.size > maxFields {
		return jobs.Invalid(at, "all fields but requests together must be at most %d bytes", maxFields)
	}
	b.fields[name] = raw
	return nil
}

// all reads the requests; null is none.
func (b *batchBody) all() error {
	const at = "/requests"
	switch token, err := b.dec.Token(); {
	case err != nil:
		return b.wrong(at, err)
	case token == nil:
		return nil
	case token != json.Delim('['):
		return jobs.Invalid(at, "must be an array")
	}
	if err := b.begin(b.fields); err != nil {
		return err
	}
	for n := 0; b.more(); n++ {
		if err := b.one(at + "/" + strconv.Itoa(n)); err != nil {
			return err
		}
	}
	_, err := b.dec.Token()
	return b.wrong(at, err)
}

// more reports whether there is another request.
func (b *batchBody) more() bool {
	b.gate.let(b.dec, "/requests", batches.MaxLine)
	return b.dec.More()
}

// one reads a request.
func (b *batchBody) one(at string) error {
	var id *string
	b.body = b.body[:0]
	err := b.object(at, batches.MaxLine, func(name string) error {
		var err error
		switch name {
		case "custom_id":
			err = b.dec.Decode(&id)
		case "request":
			err = b.dec.Decode(&b.body)
		default:
			return jobs.Invalid(at+canonical.Pointer(name), "is not a known field")
		}
		return b.wrong(at+"/"+name, err)
	})
	switch {
	case err != nil:
		return err
	case id == nil:
		return jobs.Invalid(at+"/custom_id", "is required: your name for the request")
	case len(b.body) == 0 || b.body[0] != '{':
		return jobs.Invalid(at+"/request", "is required: the body of the endpoint, a JSON object")
	}
	return b.request(*id, b.body)
}

// wrong puts into words what the decoder found; nil is nothing.
func (b *batchBody) wrong(at string, err error) error {
	_, isWrongType := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case err == nil:
		return nil
	case b.gate.failed != nil && !errors.Is(b.gate.failed, io.EOF):
		return b.gate.failed
	case isWrongType:
		return jobs.Invalid(at, "must be a string")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return jobs.Invalid(at, "the body ends before the JSON does")
	default:
		return jobs.Invalid(at, "the body is not valid JSON, at byte %d", b.dec.InputOffset())
	}
}

// gate is what a decoder reads through: it bounds the value that is being read, which the
// decoder holds as a whole.
type gate struct {
	from io.Reader
	// read is how far it was read, until how far it may be: most beyond the beginning of
	// the value.
	read, until, most int64
	// at is the JSON pointer of the value.
	at string
	// failed is why reading has ended.
	failed error
}

// let lets a value by that begins where d is.
func (g *gate) let(d *json.Decoder, at string, most int64) {
	g.at, g.most, g.until = at, most, d.InputOffset()+most
}

func (g *gate) Read(p []byte) (int, error) {
	if g.failed == nil && g.read >= g.until {
		g.failed = jobs.Invalid(g.at, "must be at most %d bytes", g.most)
	}
	if g.failed != nil {
		return 0, g.failed
	}
	n, err := g.from.Read(p)
	g.read += int64(n)
	g.failed = err
	return n, err
}
