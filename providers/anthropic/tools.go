package anthropic

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
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

func (r *request) readTools(v field.Value) error {
	tools, err := v.List()
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

func readTool(v field.Value) (tool, error) {
	told, members, err := v.Tool("cache_control")
	if err != nil {
		return tool{}, err
	}
	schema, err := readParameters(told.Parameters)
	return tool{told.Name, told.Description, schema, told.Strict, members["cache_control"].Raw}, err
}

// readParameters is the schema of a tool's input. Messages wants it to say that
// it is an object, which chat completions take for granted.
func readParameters(v field.Value) (json.RawMessage, error) {
	if v.Raw == nil {
		return json.RawMessage(`{"type":"object","properties":{}}`), nil
	}
	schema, err := chat.ReadObject(v.Raw)
	if err != nil {
		return nil, v.Refuse("must be an object")
	}
	switch kind := schema["type"]; {
	case chat.Text(kind) == "object":
		return v.Raw, nil
	case !chat.IsNull(kind):
		return nil, v.Child("type", kind).Refuse("must be object in Messages")
	}
	schema["type"] = json.RawMessage(`"object"`)
	return json.Marshal(schema)
}

func (r *request) readToolChoice(v field.Value) error {
	if !v.IsText() {
		name, err := v.FunctionName()
		r.ToolChoice = &toolChoice{Type: "tool", Name: name}
		return err
	}
	word, err := v.Text()
	if err != nil {
		return err
	}
	kind, ok := map[string]string{"none": "none", "auto": "auto", "required": "any"}[word]
	if !ok {
		return v.Refuse("must be none, auto, required or a function")
	}
	r.ToolChoice = &toolChoice{Type: kind}
	return nil
}

func (r *request) readParallel(v field.Value) error {
	parallel, err := v.Bool()
	r.oneToolCall = err == nil && !parallel
	return err
}

// chooseTools brings the choice and the number of calls together: Messages
// wants both in one place, and only with tools.
func (r *request) chooseTools(choice field.Value) error {
	if len(r.Tools) == 0 {
		if r.ToolChoice != nil && (r.ToolChoice.Type == "any" || r.ToolChoice.Type == "tool") {
			return choice.Refuse("asks for a tool, and there are none")
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
