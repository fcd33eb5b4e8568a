package gemini

import (
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
)

// content is what one side says at a time.
type content struct {
	Role  string `json:"role,omitempty"` // user or model
	Parts []part `json:"parts"`
}

// readMessages translates the conversation. System messages are the system
// instruction, which Gemini has at the beginning alone. What one side says in
// several messages is one content; the results of tools are one of their own,
// right behind the calls, as Gemini wants them.
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
	if len(r.Contents) == 0 {
		return v.Refuse("needs a message of the user in Gemini")
	}
	if r.Contents[len(r.Contents)-1].Role == "model" {
		return messages[len(messages)-1].Refuse("is the assistant's: Gemini would go on with it rather than answer it")
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

// add appends parts of role, to the last content if that is of the same kind.
func (r *request) add(role string, parts []part, results bool) {
	n := len(r.Contents)
	if n > 0 && r.Contents[n-1].Role == role && r.results == results {
		r.Contents[n-1].Parts = append(r.Contents[n-1].Parts, parts...)
		return
	}
	r.Contents, r.results = append(r.Contents, content{role, parts}), results
}

func (r *request) readSystem(m field.Value, told chat.Object) error {
	members, err := m.Pick(told, "role", "content")
	if err != nil {
		return err
	}
	parts, err := readContent(m, members, "text")
	if err != nil {
		return err
	}
	if len(r.Contents) > 0 {
		return m.Refuse("is a system message behind others: Gemini has them at the beginning alone")
	}
	if r.System == nil {
		r.System = &content{}
	}
	r.System.Parts = append(r.System.Parts, parts...)
	return nil
}

func (r *request) readUserTurn(m field.Value, told chat.Object) error {
	members, err := m.Pick(told, "role", "content")
	if err != nil {
		return err
	}
	parts, err := readContent(m, members, "text", "image_url", "input_audio", "file")
	if err != nil {
		return err
	}
	r.add("user", parts, false)
	return nil
}

// readToolResult names the function, as Gemini wants it: that of the call with
// the result's id, the latest if there are several.
func (r *request) readToolResult(m field.Value, told chat.Object) error {
	members, err := m.Pick(told, "role", "content", "tool_call_id")
	if err != nil {
		return err
	}
	id, err := m.Required(members, "tool_call_id")
	if err != nil {
		return err
	}
	name, ok := r.calls[id]
	if !ok {
		return members["tool_call_id"].Refuse("is of no tool call before it: Gemini has to be told the function's name")
	}
	output, err := readOutput(members["content"])
	if err != nil {
		return err
	}
	r.add("user", []part{{FunctionResponse: &functionResponse{id, name, response{output}}}}, true)
	return nil
}

// readOutput is what a tool said: a text, or several if it came in parts.
func readOutput(v field.Value) (any, error) {
	if chat.IsEmpty(v.Raw) {
		return "", nil
	}
	parts, err := readParts(v, "text")
	if err != nil {
		return nil, err
	}
	if len(parts) == 1 {
		return parts[0].Text, nil
	}
	texts := make([]string, 0, len(parts))
	for _, p := range parts {
		texts = append(texts, p.Text)
	}
	return texts, nil
}

// readAssistant reads what the model said: text, a refusal, tool calls.
func (r *request) readAssistant(m field.Value, told chat.Object) error {
	members, err := m.Pick(told, "role", "content", "refusal", "tool_calls")
	if err != nil {
		return err
	}
	var parts []part
	if said, ok := members["content"]; ok && !chat.IsEmpty(said.Raw) {
		if parts, err = readParts(said, "text", "refusal"); err != nil {
			return err
		}
	}
	if refusal, ok := members["refusal"]; ok && !chat.IsEmpty(refusal.Raw) {
		text, err := refusal.Text()
		if err != nil {
			return err
		}
		parts = append(parts, part{Text: text})
	}
	if calls, ok := members["tool_calls"]; ok {
		if parts, err = r.addCalls(parts, calls); err != nil {
			return err
		}
	}
	if len(parts) == 0 {
		return m.Child("content", nil).Refuse("must not be empty in Gemini")
	}
	r.add("model", parts, false)
	return nil
}
