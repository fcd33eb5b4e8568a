package messages

import (
	"github.com/penstock-dev/penstock/providers/internal/bridge"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// readTool reads a tool of the caller's. Those that run at the provider have a
// type of their own.
func readTool(v field.Value) (bridge.Tool, error) {
	told, err := v.Members()
	if err != nil {
		return bridge.Tool{}, err
	}
	if kind := chat.Text(told["type"]); kind != "" && kind != "custom" {
		return bridge.Tool{}, v.Child("type", nil).Refuse("must be custom: chat completions have no tools of the provider's")
	}
	members, err := v.Pick(told, "type", "name", "description", "input_schema", "strict")
	if err != nil {
		return bridge.Tool{}, err
	}
	name, err := v.Required(members, "name")
	return bridge.Tool{
		Name: name, Description: members["description"].Raw, Parameters: members["input_schema"].Raw,
		Strict: members["strict"].Raw, From: v.At,
	}, err
}

// choices are tool choices that both formats have a word for.
var choices = map[string]string{"auto": "auto", "any": "required", "none": "none"}

func (r *reader) readToolChoice(v field.Value) error {
	told, err := v.Members()
	if err != nil {
		return err
	}
	known := []string{"type", "disable_parallel_tool_use"}
	kind := chat.Text(told["type"])
	if kind == "tool" {
		known = append(known, "name")
	}
	members, err := v.Pick(told, known...)
	switch {
	case err != nil:
		return err
	case len(r.Tools) == 0 && (kind == "auto" || kind == "none"):
		return nil // asks for nothing
	case len(r.Tools) == 0:
		return v.Refuse("asks for a tool, and there are none")
	case kind == "tool":
		name, err := v.Required(members, "name")
		if err != nil {
			return err
		}
		r.Set("tool_choice", map[string]any{"type": "function", "function": map[string]any{"name": name}}, v)
	case choices[kind] == "":
		return v.Child("type", nil).Refuse("must be auto, any, none or tool")
	default:
		r.Set("tool_choice", choices[kind], v)
	}
	if one, ok := members["disable_parallel_tool_use"]; ok {
		disabled, err := one.Bool()
		r.Set("parallel_tool_calls", !disabled, one)
		return err
	}
	return nil
}
