package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"

	"github.com/penstock-dev/penstock/jobs"
)

// object is a JSON object whose members stay as they are, in their order.
type object []member

type member struct {
	name  string
	value json.RawMessage
}

var errNoObject = errors.New("not a JSON object")

// maxMembers bounds an object: each member takes many times the room of its few bytes.
const maxMembers = 10_000

var errManyMembers = jobs.Invalid("", "an object may have at most %d members here", maxMembers)

// readObject takes a JSON object apart.
func readObject(raw []byte) (object, error) {
	if !json.Valid(raw) {
		return nil, errNoObject
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errNoObject
	}
	var o object
	for decoder.More() {
		if len(o) == maxMembers {
			return nil, errManyMembers
		}
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		o = append(o, member{name, value})
	}
	return o, nil
}

// readBody takes the body of a request apart.
func readBody(body []byte) (object, error) {
	o, err := readObject(body)
	if errors.Is(err, errNoObject) {
		return nil, jobs.Invalid("", "the body must be a JSON object")
	}
	return o, err
}

// get returns a member that is there and not null.
func (o object) get(name string) (json.RawMessage, bool) {
	for _, m := range slices.Backward(o) {
		if m.name == name {
			return m.value, string(m.value) != "null"
		}
	}
	return nil, false
}

// set replaces a member, or adds one.
func (o object) set(name string, value json.RawMessage) object {
	for i, m := range slices.Backward(o) {
		if m.name == name {
			o[i].value = value
			return o
		}
	}
	return append(o, member{name, value})
}

// without returns o without the members of these names.
func (o object) without(names ...string) object {
	return slices.DeleteFunc(o, func(m member) bool { return slices.Contains(names, m.name) })
}

// encode writes o.
func (o object) encode() json.RawMessage {
	out := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(out, quote(m.name)...)
		out = append(out, ':')
		out = append(out, m.value...)
	}
	return append(out, '}')
}

// quote writes a string as JSON.
func quote(s string) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string can be written
	return bytes.TrimSpace(b.Bytes())
}
