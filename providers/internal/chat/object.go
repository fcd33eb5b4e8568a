// Package chat is the shape of chat completions: JSON taken apart as far as
// needed and no further, and chunks put together to the answer they are of.
package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// Object is a JSON object taken apart one level.
type Object map[string]json.RawMessage

// ReadObject refuses what is not an object, null too.
func ReadObject(data []byte) (Object, error) {
	var o Object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, errors.New("null is not an object")
	}
	return o, nil
}

// IsNull says whether raw is absent or null.
func IsNull(raw json.RawMessage) bool { return len(raw) == 0 || raw[0] == 'n' }

// IsEmpty says whether raw is absent, null, or an empty string, array or object.
func IsEmpty(raw json.RawMessage) bool {
	return IsNull(raw) || string(raw) == `""` || string(raw) == "[]" || string(raw) == "{}"
}

// Text is raw as a string, or "" when it is anything else.
func Text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}

// Count reads a number of things; ok is false when there is none that makes
// sense.
func Count(raw json.RawMessage) (n int64, ok bool) {
	if IsNull(raw) || json.Unmarshal(raw, &n) != nil || n < 0 {
		return 0, false
	}
	return n, true
}

// Member is the member of the object raw, or nil.
func Member(raw json.RawMessage, name string) json.RawMessage {
	if IsNull(raw) {
		return nil
	}
	o, err := ReadObject(raw)
	if err != nil {
		return nil
	}
	return o[name]
}

// Quote writes s as JSON string.
func Quote(s string) []byte {
	quoted, err := json.Marshal(s)
	if err != nil {
		return []byte(`""`) // a string always marshals
	}
	return quoted
}

// ValidUTF8 replaces what is not UTF-8, which JSON must be.
func ValidUTF8(body []byte) json.RawMessage {
	if utf8.Valid(body) {
		return body
	}
	return bytes.ToValidUTF8(body, []byte("\uFFFD"))
}
