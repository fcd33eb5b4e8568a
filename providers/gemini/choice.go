package gemini

import (
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

type toolConfig struct {
	Calling calling `json:"functionCallingConfig"`
}

// calling says whether tools are called: AUTO is as the model likes, VALIDATED
// the same with arguments that follow the schema, ANY some call, also with such
// arguments, NONE no call.
type calling struct {
	Mode    string   `json:"mode"`
	Allowed []string `json:"allowedFunctionNames,omitempty"`
}

// modes are the words of a tool choice.
var modes = map[string]string{"none": "NONE", "auto": "AUTO", "required": "ANY"}

func (r *request) readToolChoice(v field.Value) error {
	if v.IsText() {
		word, err := v.Text()
		if err != nil {
			return err
		}
		mode, ok := modes[word]
		if !ok {
			return v.Refuse("must be none, auto, required, a function or allowed tools")
		}
		r.ToolConfig = &toolConfig{calling{Mode: mode}}
		return nil
	}
	if members, _ := v.Members(); chat.Text(members["type"]) == "allowed_tools" {
		return r.readAllowedTools(v)
	}
	name, err := v.FunctionName()
	r.ToolConfig = &toolConfig{calling{Mode: "ANY", Allowed: []string{name}}}
	return err
}

// allowedModes are the words of allowed tools. Gemini has names for no mode that
// does not validate.
var allowedModes = map[string]string{"auto": "VALIDATED", "required": "ANY"}

// readAllowedTools reads {"type":"allowed_tools","allowed_tools":{"mode":…,"tools":[…]}}.
func (r *request) readAllowedTools(v field.Value) error {
	outer, err := v.Object("type", "allowed_tools")
	if err != nil {
		return err
	}
	allowed, ok := outer["allowed_tools"]
	if !ok {
		return v.Child("allowed_tools", nil).Refuse("is required")
	}
	members, err := allowed.Object("mode", "tools")
	if err != nil {
		return err
	}
	word, err := allowed.Required(members, "mode")
	if err != nil {
		return err
	}
	mode, ok := allowedModes[word]
	if !ok {
		return members["mode"].Refuse("must be auto or required")
	}
	list, ok := members["tools"]
	if !ok || chat.IsEmpty(list.Raw) {
		return allowed.Child("tools", nil).Refuse("must not be empty in Gemini")
	}
	tools, err := list.List()
	if err != nil {
		return err
	}
	choice := calling{Mode: mode}
	for _, tool := range tools {
		name, err := tool.FunctionName()
		if err != nil {
			return err
		}
		choice.Allowed = append(choice.Allowed, name)
	}
	r.ToolConfig = &toolConfig{choice}
	return nil
}

func (r *request) readParallel(v field.Value) error {
	parallel, err := v.Bool()
	if err == nil && !parallel {
		r.oneCall = v
	}
	return err
}

// chooseTools brings tools, choice and strictness together: Gemini wants the
// first two only with each other, and has one word for the others.
func (r *request) chooseTools(choice field.Value) error {
	if r.Tools == nil {
		if r.ToolConfig != nil && (r.ToolConfig.Calling.Mode == "ANY" || r.ToolConfig.Calling.Allowed != nil) {
			return choice.Refuse("asks for a tool, and there are none")
		}
		r.ToolConfig = nil
		return nil
	}
	mode := "AUTO"
	if r.ToolConfig != nil {
		mode = r.ToolConfig.Calling.Mode
	}
	if r.oneCall.Raw != nil && mode != "NONE" {
		return r.oneCall.Refuse("must be true with tools: Gemini cannot be asked for one call at most")
	}
	if r.strict && mode == "AUTO" {
		r.ToolConfig = &toolConfig{calling{Mode: "VALIDATED"}}
	}
	return nil
}
