// Package messages says requests to Anthropic's Messages as chat completions, and
// the answers to those as messages. It makes no call. Source: the official Go SDK,
// version 1.84.
package messages

import (
	"encoding/json"
	"regexp"

	"github.com/penstock-dev/penstock/providers/internal/bridge"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// reader says a request to Messages as one for a chat completion.
type reader struct {
	bridge.Request

	effort bool // output_config names one
}

// fields are those of a request to Messages that chat completions have a word
// for. The order is that of translation.
var fields = field.Fields[*reader]{
	{"system", (*reader).readSystem},
	{"messages", (*reader).readMessages},
	{"tools", func(r *reader, v field.Value) error { return r.ReadTools(v, readTool) }},
	{"tool_choice", (*reader).readToolChoice},
	{"max_tokens", (*reader).ReadLimit},
	{"stop_sequences", func(r *reader, v field.Value) error { r.Set("stop", v.Raw, v); return nil }},
	{"output_config", (*reader).readOutput},
	{"thinking", (*reader).readThinking},
	{"service_tier", (*reader).readTier},
	{"metadata", (*reader).readMetadata},

	{"model", (*reader).Pass},
	{"temperature", (*reader).Pass},
	{"top_p", (*reader).Pass},

	// How the answer travels is the provider's affair.
	{"stream", field.Ignore[*reader]},
}

// ToChat says a request as one for a chat completion. What that cannot say is an
// *[providers.UnsupportedError].
func ToChat(body json.RawMessage) (*bridge.Request, error) {
	r := &reader{}
	if _, err := fields.ReadInto(r, field.Of(body, "chat completions"), "messages"); err != nil {
		return nil, err
	}
	return &r.Request, nil
}

func (r *reader) readSystem(v field.Value) error {
	content, err := readContent(v, "text")
	if err == nil && len(content) > 0 {
		r.Messages = append(r.Messages, bridge.Message{Role: "system", Content: content, From: v.At})
	}
	return err
}

func (r *reader) readOutput(v field.Value) error {
	members, err := v.Object("effort", "format")
	if err != nil {
		return err
	}
	if effort, ok := members["effort"]; ok {
		r.effort = true
		r.Set("reasoning_effort", effort.Raw, effort)
	}
	if format, ok := members["format"]; ok {
		return r.readFormat(format)
	}
	return nil
}

// schemaName is what chat completions allow as the name of a schema, which
// Messages has none for: its title, or this.
var schemaName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

const defaultSchemaName = "answer"

// readFormat reads a schema, which Messages follows always.
func (r *reader) readFormat(v field.Value) error {
	members, err := v.Object("type", "schema")
	if err != nil {
		return err
	}
	if kind, err := v.Required(members, "type"); err != nil || kind != "json_schema" {
		return v.Child("type", nil).Refuse("must be json_schema")
	}
	schema, err := members["schema"].Members()
	if err != nil {
		return v.Child("schema", nil).Refuse("must be an object")
	}
	name := chat.Text(schema["title"])
	if !schemaName.MatchString(name) {
		name = defaultSchemaName
	}
	r.Set("response_format", map[string]any{
		"type": "json_schema", "json_schema": map[string]any{"name": name, "schema": members["schema"].Raw, "strict": true},
	}, v)
	return nil
}

// readThinking accepts that there is to be none: thoughts are not shown.
func (r *reader) readThinking(v field.Value) error {
	told, err := v.Members()
	if err != nil {
		return err
	}
	if chat.Text(told["type"]) != "disabled" {
		return v.Child("type", nil).Refuse("must be disabled: chat completions show no thoughts and have no budget for them")
	}
	if _, err := v.Pick(told, "type"); err != nil {
		return err
	}
	if r.effort {
		return v.Refuse("stands beside an effort: chat completions have one word for both")
	}
	r.Set("reasoning_effort", "none", v)
	return nil
}

// tiers are the service tiers that both formats have.
var tiers = map[string]string{"auto": "auto", "standard_only": "default"}

func (r *reader) readTier(v field.Value) error {
	tier, err := v.Text()
	if err != nil {
		return err
	}
	if tiers[tier] == "" {
		return v.Refuse("must be auto or standard_only: chat completions have no other of them")
	}
	r.Set("service_tier", tiers[tier], v)
	return nil
}

func (r *reader) readMetadata(v field.Value) error {
	members, err := v.Object("user_id")
	if err != nil {
		return err
	}
	if user, ok := members["user_id"]; ok {
		r.Set("user", user.Raw, user)
	}
	return nil
}
