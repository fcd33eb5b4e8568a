// Package bridge is what translations to chat completions have in common: the
// request being made, which knows where each part of it came from, and the
// completion taken apart.
package bridge

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// Request is a request for a chat completion in place of one of another format.
// A From is the JSON pointer of the part of that one it came from.
type Request struct {
	Messages []Message
	// From is where the conversation came from.
	From  string
	Tools []Tool
	// MaxTokens bounds the answer, if it is there. Servers differ in the name they
	// have for it.
	MaxTokens field.Value

	fields  map[string]any
	origins Origins
}

// Message is a message of the conversation.
type Message struct {
	Role       string
	Content    []Part
	ToolCalls  []ToolCall
	ToolCallID string
	From       string
}

// Part is a piece of content: Type says which of the others counts.
type Part struct {
	Type     string          `json:"type"`
	Text     *string         `json:"text,omitempty"`
	Refusal  *string         `json:"refusal,omitempty"`
	ImageURL json.RawMessage `json:"image_url,omitempty"`
	File     json.RawMessage `json:"file,omitempty"`
	From     string          `json:"-"`
}

// TextPart is a piece of text.
func TextPart(text, from string) Part { return Part{Type: "text", Text: &text, From: from} }

// ToolCall is a function that the model asked to be called.
type ToolCall struct {
	ID, Name, Arguments string
	From                string
}

// Tool is a function that the model may ask to be called.
type Tool struct {
	Name        string          `json:"name"`
	Description json.RawMessage `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
	Strict      json.RawMessage `json:"strict,omitempty"`
	From        string          `json:"-"`
}

// Set sets a field of the request, which came from v.
func (r *Request) Set(name string, value any, v field.Value) {
	if r.fields == nil {
		r.fields, r.origins = map[string]any{}, Origins{}
	}
	r.fields[name], r.origins["/"+name] = value, v.At
}

// Pass passes v on under its own name.
func (r *Request) Pass(v field.Value) error {
	r.Set(v.At[1:], v.Raw, v)
	return nil
}

// ReadLimit reads the bound of the answer.
func (r *Request) ReadLimit(v field.Value) error {
	var n int64
	if json.Unmarshal(v.Raw, &n) != nil || n < 1 {
		return v.Refuse("must be a whole number of at least 1")
	}
	r.MaxTokens = v
	return nil
}

// ReadTools reads a list of tools, each by read.
func (r *Request) ReadTools(v field.Value, read func(field.Value) (Tool, error)) error {
	tools, err := v.List()
	if err != nil {
		return err
	}
	for _, t := range tools {
		tool, err := read(t)
		if err != nil {
			return err
		}
		r.Tools = append(r.Tools, tool)
	}
	return nil
}

// Encode writes the request, with the bound of its answer under the name limit.
func (r *Request) Encode(limit string) (json.RawMessage, Origins, error) {
	body, origins := map[string]any{}, Origins{"": r.From, "/tools": "/tools"}
	maps.Copy(body, r.fields)
	maps.Copy(origins, r.origins)
	if r.MaxTokens.Raw != nil {
		body[limit], origins["/"+limit] = r.MaxTokens.Raw, r.MaxTokens.At
	}
	messages := make([]any, 0, len(r.Messages))
	for i, m := range r.Messages {
		messages = append(messages, m.encode(fmt.Sprintf("/messages/%d", i), origins))
	}
	body["messages"] = messages
	if len(r.Tools) > 0 {
		body["tools"] = encodeTools(r.Tools, origins)
	}
	encoded, err := field.Encode(body)
	return encoded, origins, err
}

func encodeTools(tools []Tool, origins Origins) []any {
	encoded := make([]any, 0, len(tools))
	for i, tool := range tools {
		at := fmt.Sprintf("/tools/%d", i)
		origins[at] = tool.From
		encoded = append(encoded, map[string]any{"type": "function", "function": tool})
	}
	return encoded
}

func (m Message) encode(at string, origins Origins) map[string]any {
	origins[at] = m.From
	encoded := map[string]any{"role": m.Role}
	if content := m.content(at+"/content", origins); content != nil || len(m.ToolCalls) == 0 {
		encoded["content"] = content
	}
	if m.ToolCallID != "" {
		encoded["tool_call_id"] = m.ToolCallID
	}
	calls := make([]any, 0, len(m.ToolCalls))
	for i, call := range m.ToolCalls {
		origins[fmt.Sprintf("%s/tool_calls/%d", at, i)] = call.From
		calls = append(calls, map[string]any{
			"id": call.ID, "type": "function",
			"function": map[string]any{"name": call.Name, "arguments": call.Arguments},
		})
	}
	if len(calls) > 0 {
		encoded["tool_calls"] = calls
	}
	return encoded
}

// content is one text as it is, as all servers take it, and anything else as a
// list. There is no nil list: nil is no content.
func (m Message) content(at string, origins Origins) any {
	switch {
	case len(m.Content) == 0 && m.Role == "assistant":
		return nil
	case len(m.Content) == 0:
		return ""
	case len(m.Content) == 1 && m.Content[0].Type == "text":
		origins[at] = m.Content[0].From
		return *m.Content[0].Text
	}
	for i, part := range m.Content {
		origins[fmt.Sprintf("%s/%d", at, i)] = part.From
	}
	return m.Content
}

// Origins tells where parts of a chat completion came from, both as JSON
// pointers.
type Origins map[string]string

// Of is the origin of the nearest part around pointer that has one; that of the
// whole is the conversation.
func (o Origins) Of(pointer string) string {
	for pointer != "" {
		if origin, ok := o[pointer]; ok {
			return origin
		}
		pointer = pointer[:max(0, strings.LastIndexByte(pointer, '/'))]
	}
	return o[""]
}

// Trace makes a refusal of the chat completion one of the original. Any other
// error, and nil, stays as it is.
func (o Origins) Trace(err error) error {
	if failure, ok := errors.AsType[*providers.Error](err); ok && failure.Unsupported != nil {
		unsupported := o.traced(failure.Unsupported)
		return unsupported.Refuse()
	}
	if unsupported, ok := errors.AsType[*providers.UnsupportedError](err); ok {
		return o.traced(unsupported)
	}
	return err
}

func (o Origins) traced(e *providers.UnsupportedError) *providers.UnsupportedError {
	if e.Pointer == "" { // it is the endpoint
		return e
	}
	return &providers.UnsupportedError{Pointer: o.Of(e.Pointer), Reason: e.Reason}
}
