// Package field reads a request that is to be said in another wire format. What
// that format has no word for is refused with the JSON pointer of the field.
package field

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// Encode writes a request as JSON, with its texts as they are.
func Encode(request any) (json.RawMessage, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(request); err != nil {
		return nil, &providers.Error{Class: providers.BadRequest, Message: "the request cannot be written as JSON"}
	}
	return bytes.TrimSpace(out.Bytes()), nil
}

// Value is a part of a request and where it is. A Value without Raw is absent.
type Value struct {
	Raw json.RawMessage
	// At is its JSON pointer (RFC 6901) within the body.
	At string
	// Format names the format it is to be said in, for refusals.
	Format string
}

// Of is a whole body, to be said in format.
func Of(body json.RawMessage, format string) Value { return Value{Raw: body, Format: format} }

// Refuse says why the format cannot carry v: an *[providers.UnsupportedError].
func (v Value) Refuse(format string, args ...any) error {
	return &providers.UnsupportedError{Pointer: v.At, Reason: fmt.Sprintf(format, args...)}
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// Child is v's member or element of that name.
func (v Value) Child(name string, raw json.RawMessage) Value {
	return Value{Raw: raw, At: v.At + "/" + pointerEscapes.Replace(name), Format: v.Format}
}

// Object takes v apart; see Pick.
func (v Value) Object(known ...string) (map[string]Value, error) {
	members, err := v.Members()
	if err != nil {
		return nil, err
	}
	return v.Pick(members, known...)
}

// Members takes v apart whatever its members are.
func (v Value) Members() (chat.Object, error) {
	members, err := chat.ReadObject(v.Raw)
	if err != nil {
		return nil, v.Refuse("must be an object")
	}
	return members, nil
}

// Pick returns those of v's members that are known. One that is null counts as
// absent. One that is not known is refused unless it is an empty text or array,
// which asks for nothing. An empty object may ask for something by being there.
func (v Value) Pick(members chat.Object, known ...string) (map[string]Value, error) {
	values := make(map[string]Value, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		raw := members[name]
		if chat.IsNull(raw) {
			continue
		}
		if member := v.Child(name, raw); slices.Contains(known, name) {
			values[name] = member
		} else if !chat.IsEmpty(raw) || raw[0] == '{' {
			return nil, member.refuseUnknown()
		}
	}
	return values, nil
}

// List is v's elements.
func (v Value) List() ([]Value, error) {
	var raw []json.RawMessage
	if json.Unmarshal(v.Raw, &raw) != nil {
		return nil, v.Refuse("must be an array")
	}
	elements := make([]Value, 0, len(raw))
	for i, element := range raw {
		elements = append(elements, v.Child(strconv.Itoa(i), element))
	}
	return elements, nil
}

// OneOrMore is v's elements, or v itself if it is a string.
func (v Value) OneOrMore() ([]Value, error) {
	if v.IsText() {
		return []Value{v}, nil
	}
	return v.List()
}

// IsText says whether v is a string.
func (v Value) IsText() bool { return len(v.Raw) > 0 && v.Raw[0] == '"' }

// Text is v as a string.
func (v Value) Text() (string, error) {
	var s string
	if !v.IsText() || json.Unmarshal(v.Raw, &s) != nil {
		return "", v.Refuse("must be a string")
	}
	return s, nil
}

// Bool is v as a boolean.
func (v Value) Bool() (bool, error) {
	var b bool
	if json.Unmarshal(v.Raw, &b) != nil {
		return false, v.Refuse("must be true or false")
	}
	return b, nil
}

// Number reads a number from low to high and keeps how it was spelled.
func (v Value) Number(low, high float64) (json.RawMessage, error) {
	var n float64
	if json.Unmarshal(v.Raw, &n) != nil || n < low || n > high {
		return nil, v.Refuse("must be a number from %v to %v in %s", low, high, v.Format)
	}
	return v.Raw, nil
}

// Only accepts one value: the one that asks for nothing. want is what
// encoding/json makes of it.
func (v Value) Only(want any) error {
	var got any
	if json.Unmarshal(v.Raw, &got) != nil || !reflect.DeepEqual(got, want) {
		return v.Refuse("can only be %v: %s has nothing of the kind", want, v.Format)
	}
	return nil
}

// Nothing accepts what is empty, as an object too.
func (v Value) Nothing() error {
	if chat.IsEmpty(v.Raw) {
		return nil
	}
	return v.refuseUnknown()
}

func (v Value) refuseUnknown() error { return v.Refuse("has no counterpart in %s", v.Format) }

// Required is the text of a member of v that must be there and not empty.
func (v Value) Required(members map[string]Value, name string) (string, error) {
	member, ok := members[name]
	if !ok {
		return "", v.Child(name, nil).Refuse("is required")
	}
	s, err := member.Text()
	if err == nil && s == "" {
		err = member.Refuse("must not be empty")
	}
	return s, err
}
