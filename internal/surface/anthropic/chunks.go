package anthropic

import (
	"cmp"
	"encoding/json"
	"fmt"
)

// chunkChoice is what of a chunk's choice is told.
type chunkChoice struct {
	Index int64 `json:"index"`
	Delta struct {
		Content   json.RawMessage `json:"content"`
		ToolCalls []chunkCall     `json:"tool_calls"`
	} `json:"delta"`
}

// chunkCall is a tool call or a piece of one.
type chunkCall struct {
	Index    *int64 `json:"index"`
	ID       string `json:"id"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

// addChunk tells a chunk of a chat completion. How it ended and what it used come with
// the rest. What is thought is no part of the answer that is kept, and is not told.
func (t *teller) addChunk(p piece) (ok bool) {
	for _, choice := range p.Choices {
		if choice.Index != 0 {
			continue
		}
		if t.ended {
			return false
		}
		if !t.started {
			t.startChat(p)
		}
		if !t.addText(choice.Delta.Content) {
			return false
		}
		for i, call := range choice.Delta.ToolCalls {
			if !t.addCall(p.ID, i, call) {
				return false
			}
		}
	}
	return true
}

// startChat begins the message as providers/translate names it.
func (t *teller) startChat(p piece) {
	t.started = true
	t.say(messageStart, map[string]any{"message": map[string]any{
		"id": "msg_" + p.ID, "type": "message", "role": "assistant", "model": p.Model,
		"content": []any{}, "stop_reason": nil, "stop_sequence": nil, "usage": noUsage(),
	}})
}

// noUsage is that of a message of which it is not known yet.
func noUsage() map[string]any { return map[string]any{"input_tokens": 0, "output_tokens": 0} }

// addText tells a text, or the texts of a list of parts: the others are thoughts.
func (t *teller) addText(content json.RawMessage) (ok bool) {
	if isString(content) {
		return t.addLiteral(content)
	}
	if len(content) == 0 || content[0] != '[' {
		return true
	}
	var parts []struct {
		Type string          `json:"type"`
		Text json.RawMessage `json:"text"`
	}
	if json.Unmarshal(content, &parts) != nil {
		return false
	}
	for _, part := range parts {
		if part.Type == kindText && isString(part.Text) && !t.addLiteral(part.Text) {
			return false
		}
	}
	return true
}

// addLiteral tells a piece of the text, which is the first block.
func (t *teller) addLiteral(literal json.RawMessage) (ok bool) {
	if len(inner(literal)) == 0 {
		return true
	}
	if len(t.blocks) == 0 {
		t.begin(kindText, map[string]any{"text": ""})
	}
	if !t.open || t.last().kind != kindText {
		return false
	}
	t.delta(literal)
	return true
}

// addCall tells a piece of a tool call: of the one that is open, or of the next. The one
// before has to be whole then.
func (t *teller) addCall(completion string, position int, call chunkCall) (ok bool) {
	if t.isCall() && t.continues(call) {
		return t.addArguments(call)
	}
	index := int64(position)
	if call.Index != nil {
		index = *call.Index
	} else if t.calls() > 0 {
		index = t.call + 1
	}
	switch {
	case call.Function.Name == "", t.calls() > 0 && index <= t.call:
		return false
	case t.isCall() && !isObject([]byte(t.last().text())), t.isCall() && !json.Valid([]byte(t.last().text())):
		return false
	case t.open:
		t.end()
	}
	id := cmp.Or(call.ID, fmt.Sprintf("toolu_%s_%d", completion, t.calls()))
	t.begin(kindToolUse, map[string]any{"id": id, "name": call.Function.Name, "input": map[string]any{}})
	t.call = index
	return t.addArguments(call)
}

// isCall reports whether a tool call is open.
func (t *teller) isCall() bool { return t.open && t.last().kind == kindToolUse }

// continues reports whether call is a piece of the one that is open: some servers leave
// the index out of all but the first.
func (t *teller) continues(call chunkCall) bool {
	if call.Index != nil {
		return *call.Index == t.call
	}
	return call.ID == ""
}

// calls is how many tool calls were told of.
func (t *teller) calls() (n int) {
	for _, b := range t.blocks {
		if b.kind == kindToolUse {
			n++
		}
	}
	return n
}

func (t *teller) addArguments(call chunkCall) (ok bool) {
	arguments := call.Function.Arguments
	if len(inner(arguments)) > 0 {
		t.delta(arguments)
		return true
	}
	return len(arguments) == 0 || isString(arguments) || string(arguments) == "null"
}
