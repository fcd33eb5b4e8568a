package responses

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/providers/internal/bridge"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// readInput translates the conversation. What the assistant says and the
// functions it asks for next are one message, as the results that follow want it.
func (r *reader) readInput(v field.Value) error {
	r.From = v.At
	if v.IsText() {
		text, err := v.Text()
		r.Messages = append(r.Messages, bridge.Message{
			Role: "user", Content: []bridge.Part{bridge.TextPart(text, v.At)}, From: v.At,
		})
		return err
	}
	items, err := v.List()
	if err != nil {
		return err
	}
	if len(items) == 0 {
		return v.Refuse("must not be empty in chat completions")
	}
	for _, item := range items {
		if err := r.readItem(item); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) readItem(item field.Value) error {
	told, err := item.Members()
	if err != nil {
		return err
	}
	switch kind := chat.Text(told["type"]); kind {
	case "", "message":
		return r.readMessage(item, told)
	case "function_call":
		return r.readCall(item, told)
	case "function_call_output":
		return r.readCallOutput(item, told)
	case "reasoning":
		return item.Refuse("is a thought, which chat completions have no place for")
	default:
		return item.Child("type", nil).Refuse(
			"must be message, function_call or function_call_output: chat completions have no other")
	}
}

// readMessage reads a message. Its id and status say how it once came, and
// nothing of what it says.
func (r *reader) readMessage(item field.Value, told chat.Object) error {
	members, err := item.Pick(told, "type", "role", "content", "id", "status")
	if err != nil {
		return err
	}
	role, err := item.Required(members, "role")
	if err != nil {
		return err
	}
	m := bridge.Message{Role: role, From: item.At}
	kinds := []string{"input_text"}
	switch role {
	case "user":
		kinds = append(kinds, "input_image", "input_file")
	case "assistant":
		kinds = []string{"output_text", "refusal", "input_text"}
		if last := r.last(); last != nil && len(last.ToolCalls) > 0 {
			return item.Refuse("is text behind a function call of the same turn: chat completions have it ahead")
		}
	case "system", "developer":
	default:
		return members["role"].Refuse("must be user, assistant, system or developer")
	}
	if m.Content, err = readContent(item.Child("content", told["content"]), kinds); err != nil {
		return err
	}
	r.Messages = append(r.Messages, m)
	return nil
}

func (r *reader) last() *bridge.Message {
	if len(r.Messages) == 0 {
		return nil
	}
	return &r.Messages[len(r.Messages)-1]
}

func (r *reader) readCall(item field.Value, told chat.Object) error {
	members, err := item.Pick(told, "type", "call_id", "name", "arguments", "id", "status")
	if err != nil {
		return err
	}
	call := bridge.ToolCall{From: item.At}
	if call.ID, err = item.Required(members, "call_id"); err != nil {
		return err
	}
	if call.Name, err = item.Required(members, "name"); err != nil {
		return err
	}
	if arguments, ok := members["arguments"]; ok {
		if call.Arguments, err = arguments.Text(); err != nil {
			return err
		}
	}
	last := r.last()
	if last == nil || last.Role != "assistant" {
		r.Messages = append(r.Messages, bridge.Message{Role: "assistant", From: item.At})
		last = r.last()
	}
	last.ToolCalls = append(last.ToolCalls, call)
	return nil
}

func (r *reader) readCallOutput(item field.Value, told chat.Object) error {
	members, err := item.Pick(told, "type", "call_id", "output", "id", "status")
	if err != nil {
		return err
	}
	m := bridge.Message{Role: "tool", From: item.At}
	if m.ToolCallID, err = item.Required(members, "call_id"); err != nil {
		return err
	}
	output, ok := members["output"]
	if !ok {
		return item.Child("output", nil).Refuse("is required")
	}
	if m.Content, err = readContent(output, []string{"input_text", "input_image"}); err != nil {
		return err
	}
	r.Messages = append(r.Messages, m)
	return nil
}

// readContent reads a text, or a list of parts of the given kinds.
func readContent(v field.Value, kinds []string) ([]bridge.Part, error) {
	if v.IsText() {
		text, err := v.Text()
		return []bridge.Part{bridge.TextPart(text, v.At)}, err
	}
	elements, err := v.List()
	if err != nil {
		return nil, err
	}
	parts := make([]bridge.Part, 0, len(elements))
	for _, element := range elements {
		part, err := readPart(element, kinds)
		if err != nil {
			return nil, err
		}
		part.From = element.At
		parts = append(parts, part)
	}
	return parts, nil
}

func readPart(v field.Value, kinds []string) (bridge.Part, error) {
	told, err := v.Members()
	if err != nil {
		return bridge.Part{}, err
	}
	kind := chat.Text(told["type"])
	if !slices.Contains(kinds, kind) {
		return bridge.Part{}, v.Child("type", nil).Refuse("must be one of %s here in %s", strings.Join(kinds, ", "), v.Format)
	}
	switch kind {
	case "input_image":
		return readImage(v, told)
	case "input_file":
		return readFile(v, told)
	case "refusal":
		members, err := v.Pick(told, "type", "refusal")
		if err != nil {
			return bridge.Part{}, err
		}
		refusal, err := v.Required(members, "refusal")
		return bridge.Part{Type: "refusal", Refusal: &refusal}, err
	default:
		members, err := v.Pick(told, "type", "text")
		if err != nil {
			return bridge.Part{}, err
		}
		text, err := v.Required(members, "text")
		return bridge.TextPart(text, v.At), err
	}
}

func readImage(v field.Value, told chat.Object) (bridge.Part, error) {
	members, err := v.Pick(told, "type", "image_url", "detail")
	if err != nil {
		return bridge.Part{}, err
	}
	address, err := v.Required(members, "image_url")
	if err != nil {
		return bridge.Part{}, err
	}
	image := map[string]any{"url": address}
	if detail, ok := members["detail"]; ok {
		if word := chat.Text(detail.Raw); word != "auto" && word != "low" && word != "high" {
			return bridge.Part{}, detail.Refuse("must be auto, low or high in chat completions")
		}
		image["detail"] = detail.Raw
	}
	raw, err := json.Marshal(image)
	return bridge.Part{Type: "image_url", ImageURL: raw}, err
}

func readFile(v field.Value, told chat.Object) (bridge.Part, error) {
	members, err := v.Pick(told, "type", "file_data", "file_id", "filename")
	if err != nil {
		return bridge.Part{}, err
	}
	file := map[string]any{}
	for _, name := range []string{"file_data", "file_id", "filename"} {
		if member, ok := members[name]; ok {
			file[name] = member.Raw
		}
	}
	raw, err := json.Marshal(file)
	return bridge.Part{Type: "file", File: raw}, err
}
