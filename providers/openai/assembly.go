package openai

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/providers"
)

// assembly is a chat completion being put together from chunks.
//
// Of the top level and of a choice the last value that says something counts,
// but arrays of a choice and its logprobs grow. A delta is merged into the
// message: see node.
type assembly struct {
	top     object
	choices map[int64]*choice
	budget  int // parts it may still grow by
}

type choice struct {
	message  *node
	logprobs *node
	fields   map[string]*node
	finish   string
}

const (
	// maxParts bounds what one answer is made of: fields, choices, tool calls.
	// Text and logprobs are one part however long. Without the bound, a body
	// of tiny parts would take many times its size in memory.
	maxParts = 1 << 16
	// maxChoices is the largest n that OpenAI allows.
	maxChoices = 128
)

var (
	errTooManyParts = &providers.Error{Class: providers.Malformed, Message: "the answer has too many parts"}
	errChunkShape   = &providers.Error{Class: providers.Malformed, Message: "a chunk's choices have an unknown shape"}
)

func newAssembly() *assembly {
	return &assembly{top: object{}, choices: map[int64]*choice{}, budget: maxParts}
}

// add takes in one chunk and says whether it carries something of the answer:
// more than a role, an empty string, or usage.
func (a *assembly) add(chunk object) (substance bool, err error) {
	for name, value := range chunk {
		if name == "choices" || isEmpty(value) {
			continue
		}
		if _, known := a.top[name]; !known {
			a.budget--
		}
		a.top[name] = value
	}
	var choices []object
	if raw := chunk["choices"]; !isNull(raw) {
		if err := json.Unmarshal(raw, &choices); err != nil {
			return false, errChunkShape
		}
	}
	for _, piece := range choices {
		carries, err := a.addChoice(piece)
		if err != nil {
			return false, err
		}
		substance = substance || carries
	}
	if a.budget < 0 {
		return false, errTooManyParts
	}
	return substance, nil
}

func (a *assembly) addChoice(piece object) (substance bool, err error) {
	var index int64
	if raw := piece["index"]; !isNull(raw) && json.Unmarshal(raw, &index) != nil {
		return false, errChunkShape
	}
	c := a.choices[index]
	if c == nil {
		if len(a.choices) == maxChoices {
			return false, errTooManyParts
		}
		c = &choice{message: newNode(), logprobs: newNode(), fields: map[string]*node{}}
		a.choices[index] = c
	}
	for name, value := range piece {
		switch name {
		case "index":
		case "delta":
			carries, err := c.addDelta(value, &a.budget)
			if err != nil {
				return false, err
			}
			substance = substance || carries
		case "logprobs":
			c.logprobs.merge(name, value, 0, &a.budget)
		case "finish_reason":
			if reason := text(value); reason != "" {
				c.finish, substance = reason, true
			}
		default:
			c.setField(name, value, &a.budget)
		}
	}
	return substance, nil
}

func (c *choice) addDelta(raw json.RawMessage, budget *int) (substance bool, err error) {
	if isNull(raw) {
		return false, nil
	}
	delta, err := readObject(raw)
	if err != nil {
		return false, errChunkShape
	}
	for name, value := range delta {
		substance = substance || name != "role" && !isEmpty(value)
	}
	c.message.mergeObject(delta, 0, budget)
	return substance, nil
}

func (c *choice) setField(name string, value json.RawMessage, budget *int) {
	if isNull(value) && c.fields[name] != nil {
		return
	}
	field := c.fields[name]
	if field == nil || value[0] != '[' {
		field = newNode()
		*budget--
		c.fields[name] = field
	}
	field.merge(name, value, 0, budget)
}

// check says what keeps the assembly from being a whole answer.
func (a *assembly) check() error {
	finishes := make([]string, 0, len(a.choices))
	for _, index := range slices.Sorted(maps.Keys(a.choices)) {
		finishes = append(finishes, a.choices[index].finish)
	}
	return checkFinishes(finishes)
}

// first is the choice with the lowest index, or nil.
func (a *assembly) first() *choice {
	if len(a.choices) == 0 {
		return nil
	}
	return a.choices[slices.Min(slices.Collect(maps.Keys(a.choices)))]
}

// partial is the text of the first choice so far.
func (a *assembly) partial() string {
	c := a.first()
	if c == nil || c.message.fields["content"] == nil {
		return ""
	}
	return text(c.message.fields["content"].appendJSON(nil))
}

// body is the completion as the endpoint gives it when it does not stream.
func (a *assembly) body() json.RawMessage {
	out := []byte(`{`)
	rest := maps.Clone(a.top)
	take := func(name string) {
		if value, ok := rest[name]; ok {
			out = append(appendName(out, name), value...)
			delete(rest, name)
		}
	}
	take("id")
	out = append(appendName(out, "object"), `"chat.completion"`...)
	delete(rest, "object")
	take("created")
	take("model")
	out = append(appendName(out, "choices"), '[')
	for i, index := range slices.Sorted(maps.Keys(a.choices)) {
		if i > 0 {
			out = append(out, ',')
		}
		out = a.choices[index].appendJSON(out, index)
	}
	out = append(out, ']')
	take("usage")
	for _, name := range slices.Sorted(maps.Keys(rest)) {
		take(name)
	}
	return validUTF8(append(out, '}'))
}

func (c *choice) appendJSON(out []byte, index int64) []byte {
	c.message.complete()
	out = append(out, '{')
	out = append(appendName(out, "index"), number(index)...)
	out = c.message.appendJSON(appendName(out, "message"))
	out = c.logprobs.appendJSON(appendName(out, "logprobs"))
	out = append(appendName(out, "finish_reason"), quote(c.finish)...)
	for _, name := range slices.Sorted(maps.Keys(c.fields)) {
		out = c.fields[name].appendJSON(appendName(out, name))
	}
	return append(out, '}')
}

// appendName writes an object member's name, after a comma unless it is the
// first.
func appendName(out []byte, name string) []byte {
	if out[len(out)-1] != '{' {
		out = append(out, ',')
	}
	return append(append(out, quote(name)...), ':')
}

// validUTF8 replaces what is not UTF-8, which JSON must be.
func validUTF8(body []byte) json.RawMessage {
	if utf8.Valid(body) {
		return body
	}
	return bytes.ToValidUTF8(body, []byte("\uFFFD"))
}
