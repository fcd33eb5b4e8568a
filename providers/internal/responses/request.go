package responses

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers/internal/bridge"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// reader says a request to Responses as one for a chat completion.
type reader struct {
	bridge.Request
}

// fields are those of a request to Responses that chat completions have a word
// for, and those that may be there if they ask for nothing. The order is that of
// translation.
var fields = field.Fields[*reader]{
	{"instructions", (*reader).readInstructions},
	{"input", (*reader).readInput},
	{"tools", func(r *reader, v field.Value) error { return r.ReadTools(v, readTool) }},
	{"tool_choice", (*reader).readToolChoice},
	{"parallel_tool_calls", (*reader).readParallel},
	{"max_output_tokens", (*reader).ReadLimit},
	{"text", (*reader).readText},
	{"reasoning", (*reader).readReasoning},

	{"model", (*reader).Pass},
	{"temperature", (*reader).Pass},
	{"top_p", (*reader).Pass},
	{"user", (*reader).Pass},
	{"safety_identifier", (*reader).Pass},
	{"prompt_cache_key", (*reader).Pass},
	{"service_tier", (*reader).Pass},

	// How the answer travels is the provider's affair, and metadata comes back
	// with it without having gone anywhere.
	{"stream", field.Ignore[*reader]},
	{"stream_options", field.Ignore[*reader]},
	{"metadata", field.Ignore[*reader]},

	{"background", field.Only[*reader](false)},
	{"store", field.Only[*reader](false)},
	{"top_logprobs", field.Only[*reader](0.0)},
	{"truncation", field.Only[*reader]("disabled")},
}

// ToChat says a request as one for a chat completion. What that cannot say is an
// *[providers.UnsupportedError].
func ToChat(body json.RawMessage) (*bridge.Request, error) {
	if err := CheckStateless(body); err != nil {
		return nil, err
	}
	r := &reader{}
	if _, err := fields.ReadInto(r, field.Of(body, "chat completions")); err != nil {
		return nil, err
	}
	if len(r.Messages) == 0 {
		return nil, field.Value{At: "/input"}.Refuse("is required")
	}
	return &r.Request, nil
}

func (r *reader) readInstructions(v field.Value) error {
	text, err := v.Text()
	if err != nil || text == "" {
		return err
	}
	r.Messages = append(r.Messages, bridge.Message{
		Role: "system", Content: []bridge.Part{bridge.TextPart(text, v.At)}, From: v.At,
	})
	return nil
}

// readText reads how the answer's text is to be.
func (r *reader) readText(v field.Value) error {
	members, err := v.Object("format", "verbosity")
	if err != nil {
		return err
	}
	if verbosity, ok := members["verbosity"]; ok {
		r.Set("verbosity", verbosity.Raw, verbosity)
	}
	if format, ok := members["format"]; ok {
		return r.readFormat(format)
	}
	return nil
}

func (r *reader) readFormat(v field.Value) error {
	members, err := v.Object("type", "name", "description", "schema", "strict")
	if err != nil {
		return err
	}
	kind, err := v.Required(members, "type")
	switch {
	case err != nil:
		return err
	case kind == "text":
		return nil
	case kind == "json_object":
		r.Set("response_format", map[string]any{"type": kind}, v)
		return nil
	case kind != "json_schema":
		return members["type"].Refuse("must be text, json_object or json_schema in chat completions")
	}
	named := map[string]json.RawMessage{}
	for _, name := range []string{"name", "description", "schema", "strict"} {
		if member, ok := members[name]; ok {
			named[name] = member.Raw
		}
	}
	r.Set("response_format", map[string]any{"type": kind, "json_schema": named}, v)
	return nil
}

func (r *reader) readReasoning(v field.Value) error {
	members, err := v.Object("effort", "summary", "generate_summary")
	if err != nil {
		return err
	}
	for _, name := range []string{"summary", "generate_summary"} {
		if summary, ok := members[name]; ok {
			return summary.Refuse("has no counterpart in chat completions: thoughts are not shown")
		}
	}
	if effort, ok := members["effort"]; ok {
		r.Set("reasoning_effort", effort.Raw, effort)
	}
	return nil
}

func readTool(v field.Value) (bridge.Tool, error) {
	told, err := v.Members()
	if err != nil {
		return bridge.Tool{}, err
	}
	if err := wantFunction(v, told); err != nil {
		return bridge.Tool{}, err
	}
	members, err := v.Pick(told, "type", "name", "description", "parameters", "strict")
	if err != nil {
		return bridge.Tool{}, err
	}
	name, err := v.Required(members, "name")
	return bridge.Tool{
		Name: name, Description: members["description"].Raw, Parameters: members["parameters"].Raw,
		Strict: members["strict"].Raw, From: v.At,
	}, err
}

func (r *reader) readToolChoice(v field.Value) error {
	switch {
	case v.IsText() && len(r.Tools) > 0:
		r.Set("tool_choice", v.Raw, v)
		return nil
	case v.IsText() && chat.Text(v.Raw) != "required":
		return nil // asks for nothing
	case len(r.Tools) == 0:
		return v.Refuse("asks for a tool, and there are none")
	}
	told, err := v.Members()
	if err != nil {
		return err
	}
	if err := wantFunction(v, told); err != nil {
		return err
	}
	members, err := v.Pick(told, "type", "name")
	if err != nil {
		return err
	}
	name, err := v.Required(members, "name")
	r.Set("tool_choice", map[string]any{"type": "function", "function": map[string]any{"name": name}}, v)
	return err
}

// readParallel passes the wish on with tools alone: without, some servers refuse
// it, and it asks for nothing.
func (r *reader) readParallel(v field.Value) error {
	parallel, err := v.Bool()
	if err == nil && len(r.Tools) > 0 {
		r.Set("parallel_tool_calls", parallel, v)
	}
	return err
}

// wantFunction refuses tools that run at the server, and what newer ones have.
func wantFunction(v field.Value, told chat.Object) error {
	if chat.Text(told["type"]) != "function" {
		return v.Child("type", nil).Refuse("must be function: servers of chat completions share no other tools")
	}
	return nil
}
