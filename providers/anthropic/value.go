package anthropic

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// value is a part of a chat request and where it is.
type value struct {
	raw json.RawMessage
	at  string // RFC 6901
}

// refuse says why Messages cannot carry v.
func (v value) refuse(format string, args ...any) error {
	return &providers.UnsupportedError{Pointer: v.at, Reason: fmt.Sprintf(format, args...)}
}

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")

// child is v's member or element of that name.
func (v value) child(name string, raw json.RawMessage) value {
	return value{raw, v.at + "/" + pointerEscapes.Replace(name)}
}

// object takes v apart; see pick.
func (v value) object(known ...string) (map[string]value, error) {
	members, err := v.members()
	if err != nil {
		return nil, err
	}
	return v.pick(members, known...)
}

func (v value) members() (chat.Object, error) {
	members, err := chat.ReadObject(v.raw)
	if err != nil {
		return nil, v.refuse("must be an object")
	}
	return members, nil
}

// pick returns those of v's members that are known. One that is null counts as
// absent. One that is not known is refused unless it is empty, which asks for
// nothing.
func (v value) pick(members chat.Object, known ...string) (map[string]value, error) {
	values := make(map[string]value, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		raw := members[name]
		if chat.IsNull(raw) {
			continue
		}
		if member := v.child(name, raw); slices.Contains(known, name) {
			values[name] = member
		} else if !chat.IsEmpty(raw) {
			return nil, member.refuse("has no counterpart in Messages")
		}
	}
	return values, nil
}

func (v value) list() ([]value, error) {
	var raw []json.RawMessage
	if json.Unmarshal(v.raw, &raw) != nil {
		return nil, v.refuse("must be an array")
	}
	elements := make([]value, 0, len(raw))
	for i, element := range raw {
		elements = append(elements, v.child(strconv.Itoa(i), element))
	}
	return elements, nil
}

func (v value) isText() bool { return len(v.raw) > 0 && v.raw[0] == '"' }

func (v value) text() (string, error) {
	var s string
	if !v.isText() || json.Unmarshal(v.raw, &s) != nil {
		return "", v.refuse("must be a string")
	}
	return s, nil
}

// number reads a number from low to high and keeps how it was spelled.
func (v value) number(low, high float64) (json.RawMessage, error) {
	var n float64
	if json.Unmarshal(v.raw, &n) != nil || n < low || n > high {
		return nil, v.refuse("must be a number from %v to %v in Messages", low, high)
	}
	return v.raw, nil
}

// required is the text of a member that must be there and not empty.
func required(of value, members map[string]value, name string) (string, error) {
	member, ok := members[name]
	if !ok {
		return "", of.child(name, nil).refuse("is required")
	}
	s, err := member.text()
	if err == nil && s == "" {
		err = member.refuse("must not be empty")
	}
	return s, err
}
