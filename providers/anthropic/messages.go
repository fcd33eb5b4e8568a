package anthropic

import (
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// turn is one message of Messages.
type turn struct {
	Role    string  `json:"role"`
	Content []block `json:"content"`
}

// readMessages translates the conversation. System messages at its beginning
// are the system prompt; a later one stays where it is, which Messages allows
// behind a user's turn and ahead of the assistant's alone. What one side says
// in several messages is one turn, as tool results have to be.
func (r *request) readMessages(v field.Value) error {
	messages, err := v.List()
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := r.readMessage(m); err != nil {
			return err
		}
	}
	if len(r.Messages) == 0 {
		return v.Refuse("needs a message of the user in Messages")
	}
	if r.Messages[len(r.Messages)-1].Role == "assistant" {
		return messages[len(messages)-1].Refuse("is the assistant's: Messages would go on with it rather than answer it")
	}
	return nil
}

func (r *request) readMessage(m field.Value) error {
	told, err := m.Members()
	if err != nil {
		return err
	}
	switch role := m.Child("role", told["role"]); chat.Text(role.Raw) {
	case "system", "developer":
		return r.readSystem(m, told)
	case "user":
		return r.readUserTurn(m, told)
	case "assistant":
		return r.readAssistant(m, told)
	case "tool":
		return r.readToolResult(m, told)
	default:
		return role.Refuse("must be system, developer, user, assistant or tool")
	}
}

// add appends content of role, to the last turn if that is the same role's.
func (r *request) add(role string, content []block) {
	if n := len(r.Messages); n > 0 && r.Messages[n-1].Role == role {
		r.Messages[n-1].Content = append(r.Messages[n-1].Content, content...)
		return
	}
	r.Messages = append(r.Messages, turn{role, content})
}

func (r *request) lastRole() string {
	if len(r.Messages) == 0 {
		return ""
	}
	return r.Messages[len(r.Messages)-1].Role
}

func (r *request) readSystem(m field.Value, told chat.Object) error {
	members, err := m.Pick(told, "role", "content")
	if err != nil {
		return err
	}
	content, err := readContent(m, members, "text")
	if err != nil {
		return err
	}
	switch r.lastRole() {
	case "":
		r.System = append(r.System, content...)
		return nil
	case "assistant":
		return m.Refuse("is a system message behind the assistant's: Messages has them at the beginning and behind the user's alone")
	}
	r.systemAt = m
	r.add("system", content)
	return nil
}

func (r *request) readUserTurn(m field.Value, told chat.Object) error {
	members, err := m.Pick(told, "role", "content")
	if err != nil {
		return err
	}
	content, err := readContent(m, members, "text", "image_url", "file")
	if err != nil {
		return err
	}
	return r.addUser(content)
}

// addUser refuses the system message that stands between two of the user's.
func (r *request) addUser(content []block) error {
	if r.lastRole() == "system" {
		return r.systemAt.Refuse("is a system message ahead of the user's: Messages has them at the beginning and ahead of the assistant's alone")
	}
	r.add("user", content)
	return nil
}

func (r *request) readToolResult(m field.Value, told chat.Object) error {
	members, err := m.Pick(told, "role", "content", "tool_call_id")
	if err != nil {
		return err
	}
	id, err := m.Required(members, "tool_call_id")
	if err != nil {
		return err
	}
	result := block{Type: "tool_result", ToolUseID: id}
	if content, ok := members["content"]; ok && !chat.IsEmpty(content.Raw) {
		if result.Content, err = readParts(content, "text", "image_url"); err != nil {
			return err
		}
	}
	return r.addUser([]block{result})
}

// readAssistant reads what the model said: text, a refusal, tool calls.
func (r *request) readAssistant(m field.Value, told chat.Object) error {
	members, err := m.Pick(told, "role", "content", "refusal", "tool_calls")
	if err != nil {
		return err
	}
	var content []block
	if said, ok := members["content"]; ok && !chat.IsEmpty(said.Raw) {
		if content, err = readParts(said, "text", "refusal"); err != nil {
			return err
		}
	}
	if refusal, ok := members["refusal"]; ok && !chat.IsEmpty(refusal.Raw) {
		text, err := refusal.Text()
		if err != nil {
			return err
		}
		content = append(content, block{Type: "text", Text: text})
	}
	if calls, ok := members["tool_calls"]; ok {
		uses, err := readToolCalls(calls)
		if err != nil {
			return err
		}
		content = append(content, uses...)
	}
	if len(content) == 0 {
		return m.Child("content", nil).Refuse("must not be empty in Messages")
	}
	r.add("assistant", content)
	return nil
}

func readToolCalls(v field.Value) ([]block, error) {
	calls, err := v.List()
	if err != nil {
		return nil, err
	}
	uses := make([]block, 0, len(calls))
	for _, call := range calls {
		read, _, err := call.ToolCall()
		if err != nil {
			return nil, err
		}
		uses = append(uses, block{Type: "tool_use", ID: read.ID, Name: read.Name, Input: read.Arguments})
	}
	return uses, nil
}
