package chat

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/penstock-dev/penstock/providers"
)

// Assembly is a chat completion being put together from chunks.
//
// Of the top level and of a choice the last value that says something counts,
// but arrays of a choice and its logprobs grow. A delta is merged into the
// message: see node.
type Assembly struct {
	top     Object
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

// NewAssembly returns one of nothing.
func NewAssembly() *Assembly {
	return &Assembly{top: Object{}, choices: map[int64]*choice{}, budget: maxParts}
}

// Add takes in one chunk and says whether it carries something of the answer:
// more than a role, an empty string, or usage.
func (a *Assembly) Add(chunk Object) (substance bool, err error) {
	for name, value := range chunk {
		if name == "choices" || IsEmpty(value) {
			continue
		}
		if _, known := a.top[name]; !known {
			a.budget--
		}
		a.top[name] = value
	}
	var choices []Object
	if raw := chunk["choices"]; !IsNull(raw) {
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

func (a *Assembly) addChoice(piece Object) (substance bool, err error) {
	var index int64
	if raw := piece["index"]; !IsNull(raw) && json.Unmarshal(raw, &index) != nil {
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
			if reason := Text(value); reason != "" {
				c.finish, substance = reason, true
			}
		default:
			c.setField(name, value, &a.budget)
		}
	}
	return substance, nil
}

func (c *choice) addDelta(raw json.RawMessage, budget *int) (substance bool, err error) {
	if IsNull(raw) {
		return false, nil
	}
	delta, err := ReadObject(raw)
	if err != nil {
		return false, errChunkShape
	}
	for name, value := range delta {
		substance = substance || name != "role" && !IsEmpty(value)
	}
	c.message.mergeObject(delta, 0, budget)
	return substance, nil
}

func (c *choice) setField(name string, value json.RawMessage, budget *int) {
	if IsNull(value) && c.fields[name] != nil {
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

// Finishes are the finish reasons of the choices in order, empty for a choice
// that has none yet.
func (a *Assembly) Finishes() []string {
	finishes := make([]string, 0, len(a.choices))
	for _, index := range slices.Sorted(maps.Keys(a.choices)) {
		finishes = append(finishes, a.choices[index].finish)
	}
	return finishes
}

// Top is the last value of a member of the chunks themselves, such as model.
func (a *Assembly) Top(name string) json.RawMessage { return a.top[name] }

// first is the choice with the lowest index, or nil.
func (a *Assembly) first() *choice {
	if len(a.choices) == 0 {
		return nil
	}
	return a.choices[slices.Min(slices.Collect(maps.Keys(a.choices)))]
}

// Partial is the text of the first choice so far.
func (a *Assembly) Partial() string {
	c := a.first()
	if c == nil || c.message.fields["content"] == nil {
		return ""
	}
	return Text(c.message.fields["content"].appendJSON(nil))
}

// Body is the completion as the endpoint gives it when it does not stream.
func (a *Assembly) Body() json.RawMessage {
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
	return ValidUTF8(append(out, '}'))
}

func (c *choice) appendJSON(out []byte, index int64) []byte {
	c.message.complete()
	out = append(out, '{')
	out = append(appendName(out, "index"), number(index)...)
	out = c.message.appendJSON(appendName(out, "message"))
	out = c.logprobs.appendJSON(appendName(out, "logprobs"))
	out = append(appendName(out, "finish_reason"), Quote(c.finish)...)
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
	return append(append(out, Quote(name)...), ':')
}
