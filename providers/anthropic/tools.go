package anthropic

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// tool is a function the model may ask to be called.
type tool struct {
	Name         string          `json:"name"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"input_schema"`
	Strict       bool            `json:"strict,omitempty"`
	CacheControl json.RawMessage `json:"cache_control,omitempty"`
}

type toolChoice struct {
	Type       string `json:"type"`
	Name       string `json:"name,omitempty"`
	NoParallel bool   `json:"disable_parallel_tool_use,omitempty"`
}

func (r *request) readTools(v value) error {
	tools, err := v.list()
	if err != nil {
		return err
	}
	for _, t := range tools {
		read, err := readTool(t)
		if err != nil {
			return err
		}
		r.Tools = append(r.Tools, read)
	}
	return nil
}

func readTool(v value) (tool, error) {
	function, members, err := readFunction(v, "cache_control")
	if err != nil {
		return tool{}, err
	}
	told, err := function.object("name", "description", "parameters", "strict")
	if err != nil {
		return tool{}, err
	}
	read := tool{CacheControl: members["cache_control"].raw}
	if read.Name, err = required(function, told, "name"); err != nil {
		return tool{}, err
	}
	if description, ok := told["description"]; ok {
		if read.Description, err = description.text(); err != nil {
			return tool{}, err
		}
	}
	if strict, ok := told["strict"]; ok && json.Unmarshal(strict.raw, &read.Strict) != nil {
		return tool{}, strict.refuse("must be true or false")
	}
	read.InputSchema, err = readParameters(told["parameters"])
	return read, err
}

// readFunction reads {"type":"function","function":…}, the only kind of tool
// and of tool call that Messages has a word for. Others of its members must be
// among also.
func readFunction(v value, also ...string) (function value, members map[string]value, err error) {
	members, err = v.object(append(also, "type", "function")...)
	if err != nil {
		return value{}, nil, err
	}
	kind, err := required(v, members, "type")
	if err != nil {
		return value{}, nil, err
	}
	if kind != "function" {
		return value{}, nil, members["type"].refuse("must be function: Messages has nothing else of the kind")
	}
	function, ok := members["function"]
	if !ok {
		return value{}, nil, v.child("function", nil).refuse("is required")
	}
	return function, members, nil
}

// readParameters is the schema of a tool's input. Messages wants it to say that
// it is an object, which chat completions take for granted.
func readParameters(v value) (json.RawMessage, error) {
	if v.raw == nil {
		return json.RawMessage(`{"type":"object","properties":{}}`), nil
	}
	schema, err := chat.ReadObject(v.raw)
	if err != nil {
		return nil, v.refuse("must be an object")
	}
	switch kind := schema["type"]; {
	case chat.Text(kind) == "object":
		return v.raw, nil
	case !chat.IsNull(kind):
		return nil, v.child("type", kind).refuse("must be object in Messages")
	}
	schema["type"] = json.RawMessage(`"object"`)
	return json.Marshal(schema)
}

func (r *request) readToolChoice(v value) error {
	if !v.isText() {
		function, _, err := readFunction(v)
		if err != nil {
			return err
		}
		named, err := function.object("name")
		if err != nil {
			return err
		}
		name, err := required(function, named, "name")
		r.ToolChoice = &toolChoice{Type: "tool", Name: name}
		return err
	}
	word, err := v.text()
	if err != nil {
		return err
	}
	kind, ok := map[string]string{"none": "none", "auto": "auto", "required": "any"}[word]
	if !ok {
		return v.refuse("must be none, auto, required or a function")
	}
	r.ToolChoice = &toolChoice{Type: kind}
	return nil
}

func (r *request) readParallel(v value) error {
	var parallel bool
	if json.Unmarshal(v.raw, &parallel) != nil {
		return v.refuse("must be true or false")
	}
	r.oneToolCall = !parallel
	return nil
}

// chooseTools brings the choice and the number of calls together: Messages
// wants both in one place, and only with tools.
func (r *request) chooseTools(choice value) error {
	if len(r.Tools) == 0 {
		if r.ToolChoice != nil && (r.ToolChoice.Type == "any" || r.ToolChoice.Type == "tool") {
			return choice.refuse("asks for a tool, and there are none")
		}
		r.ToolChoice = nil
		return nil
	}
	if !r.oneToolCall {
		return nil
	}
	if r.ToolChoice == nil {
		r.ToolChoice = &toolChoice{Type: "auto"}
	}
	r.ToolChoice.NoParallel = r.ToolChoice.Type != "none"
	return nil
}
