package messages

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/penstock-dev/penstock/providers/internal/bridge"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

func (r *reader) readMessages(v field.Value) error {
	r.From = v.At
	messages, err := v.List()
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := r.readMessage(m); err != nil {
			return err
		}
	}
	if len(messages) == 0 {
		return v.Refuse("must not be empty")
	}
	if last := r.Messages[len(r.Messages)-1]; last.Role == "assistant" {
		return messages[len(messages)-1].Refuse(
			"is the assistant's: chat completions would answer it rather than go on with it")
	}
	return nil
}

func (r *reader) readMessage(m field.Value) error {
	members, err := m.Object("role", "content")
	if err != nil {
		return err
	}
	role, err := m.Required(members, "role")
	if err != nil {
		return err
	}
	content, ok := members["content"]
	if !ok {
		return m.Child("content", nil).Refuse("is required")
	}
	switch role {
	case "user":
		return r.readUser(m, content)
	case "assistant":
		return r.readAssistant(m, content)
	case "system":
		said, err := readContent(content, "text")
		r.Messages = append(r.Messages, bridge.Message{Role: role, Content: said, From: m.At})
		return err
	default:
		return members["role"].Refuse("must be user, assistant or system")
	}
}

// readUser reads what the user says and what tools gave, which comes first, as
// both formats want it.
func (r *reader) readUser(m, content field.Value) error {
	if content.IsText() {
		said, err := readContent(content)
		r.Messages = append(r.Messages, bridge.Message{Role: "user", Content: said, From: m.At})
		return err
	}
	blocks, err := content.List()
	if err != nil {
		return err
	}
	var said []bridge.Part
	for _, block := range blocks {
		told, err := block.Members()
		if err != nil {
			return err
		}
		if chat.Text(told["type"]) != "tool_result" {
			part, err := readBlock(block, told, []string{"text", "image", "document", "tool_result"})
			if err != nil {
				return err
			}
			said = append(said, part)
			continue
		}
		if len(said) > 0 {
			return block.Refuse("is a tool's result behind other content: chat completions have it ahead")
		}
		if err := r.readToolResult(block, told); err != nil {
			return err
		}
	}
	if len(said) > 0 || len(blocks) == 0 {
		r.Messages = append(r.Messages, bridge.Message{Role: "user", Content: said, From: m.At})
	}
	return nil
}

func (r *reader) readToolResult(block field.Value, told chat.Object) error {
	members, err := block.Pick(told, "type", "tool_use_id", "content", "is_error")
	if err != nil {
		return err
	}
	if failed, ok := members["is_error"]; ok {
		if err := failed.Only(false); err != nil {
			return err
		}
	}
	m := bridge.Message{Role: "tool", From: block.At}
	if m.ToolCallID, err = block.Required(members, "tool_use_id"); err != nil {
		return err
	}
	if content, ok := members["content"]; ok {
		if m.Content, err = readContent(content, "text", "image"); err != nil {
			return err
		}
	}
	r.Messages = append(r.Messages, m)
	return nil
}

// readAssistant reads what the model said: text, then tools it wanted used.
func (r *reader) readAssistant(m, content field.Value) error {
	said := bridge.Message{Role: "assistant", From: m.At}
	if content.IsText() {
		var err error
		said.Content, err = readContent(content)
		r.Messages = append(r.Messages, said)
		return err
	}
	blocks, err := content.List()
	if err != nil {
		return err
	}
	for _, block := range blocks {
		told, err := block.Members()
		if err != nil {
			return err
		}
		if chat.Text(told["type"]) == "tool_use" {
			call, err := readToolUse(block, told)
			if err != nil {
				return err
			}
			said.ToolCalls = append(said.ToolCalls, call)
			continue
		}
		if len(said.ToolCalls) > 0 {
			return block.Refuse("is behind a tool's use: chat completions have it ahead")
		}
		part, err := readBlock(block, told, []string{"text", "tool_use"})
		if err != nil {
			return err
		}
		said.Content = append(said.Content, part)
	}
	r.Messages = append(r.Messages, said)
	return nil
}

func readToolUse(block field.Value, told chat.Object) (bridge.ToolCall, error) {
	members, err := block.Pick(told, "type", "id", "name", "input")
	if err != nil {
		return bridge.ToolCall{}, err
	}
	call := bridge.ToolCall{Arguments: "{}", From: block.At}
	if call.ID, err = block.Required(members, "id"); err != nil {
		return bridge.ToolCall{}, err
	}
	if call.Name, err = block.Required(members, "name"); err != nil {
		return bridge.ToolCall{}, err
	}
	if input, ok := members["input"]; ok {
		if _, err := input.Members(); err != nil {
			return bridge.ToolCall{}, err
		}
		call.Arguments = string(input.Raw)
	}
	return call, nil
}

// readContent reads a text, or a list of blocks of the given kinds.
func readContent(v field.Value, kinds ...string) ([]bridge.Part, error) {
	if v.IsText() {
		text, err := v.Text()
		return []bridge.Part{bridge.TextPart(text, v.At)}, err
	}
	blocks, err := v.List()
	if err != nil {
		return nil, err
	}
	parts := make([]bridge.Part, 0, len(blocks))
	for _, block := range blocks {
		told, err := block.Members()
		if err != nil {
			return nil, err
		}
		part, err := readBlock(block, told, kinds)
		if err != nil {
			return nil, err
		}
		parts = append(parts, part)
	}
	return parts, nil
}

// readBlock reads a piece of content of one of the given kinds.
func readBlock(block field.Value, told chat.Object, kinds []string) (bridge.Part, error) {
	kind := chat.Text(told["type"])
	if !slices.Contains(kinds, kind) {
		return bridge.Part{}, block.Child("type", nil).Refuse("must be one of %s here in %s", strings.Join(kinds, ", "), block.Format)
	}
	if kind == "text" {
		members, err := block.Pick(told, "type", "text")
		if err != nil {
			return bridge.Part{}, err
		}
		text, err := block.Required(members, "text")
		return bridge.TextPart(text, block.At), err
	}
	known := []string{"type", "source"}
	if kind == "document" {
		known = append(known, "title")
	}
	members, err := block.Pick(told, known...)
	if err != nil {
		return bridge.Part{}, err
	}
	source, ok := members["source"]
	if !ok {
		return bridge.Part{}, block.Child("source", nil).Refuse("is required")
	}
	address, err := readSource(source, kind)
	if err != nil {
		return bridge.Part{}, err
	}
	if kind == "image" {
		raw, err := json.Marshal(map[string]any{"url": address})
		return bridge.Part{Type: "image_url", ImageURL: raw, From: block.At}, err
	}
	name := json.RawMessage(`"document.pdf"`) // chat completions want one
	if title, ok := members["title"]; ok {
		name = title.Raw
	}
	raw, err := json.Marshal(map[string]any{"file_data": address, "filename": name})
	return bridge.Part{Type: "file", File: raw, From: block.At}, err
}

// readSource is where an image or a document is, as a URL. Documents of chat
// completions come along.
func readSource(v field.Value, kind string) (string, error) {
	told, err := v.Members()
	if err != nil {
		return "", err
	}
	from, known := chat.Text(told["type"]), []string{"type", "media_type", "data"}
	isURL := from == "url" && kind == "image"
	if isURL {
		known = []string{"type", "url"}
	}
	members, err := v.Pick(told, known...)
	switch {
	case err != nil:
		return "", err
	case isURL:
		return v.Required(members, "url")
	case from != "base64":
		return "", v.Child("type", nil).Refuse("must be base64, or url of an image, in chat completions")
	}
	mediaType, err := v.Required(members, "media_type")
	if err != nil {
		return "", err
	}
	data, err := v.Required(members, "data")
	return "data:" + mediaType + ";base64," + data, err
}
