package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// errDiffers says that what was told is not the beginning of what was kept.
var errDiffers = errors.New("the answer that was kept is not the one that was shown")

// keptMessage is an answer as it was kept.
type keptMessage struct {
	members map[string]json.RawMessage
	content []keptBlock
}

// keptBlock is a block of its content.
type keptBlock struct {
	Type      string            `json:"type"`
	Text      string            `json:"text"`
	Thinking  string            `json:"thinking"`
	Signature string            `json:"signature"`
	Citations []json.RawMessage `json:"citations"`
	Input     json.RawMessage   `json:"input"`

	members map[string]json.RawMessage
}

func readMessage(result json.RawMessage) (m keptMessage, err error) {
	if err = json.Unmarshal(result, &m.members); err != nil {
		return m, err
	}
	var content []json.RawMessage
	if err = json.Unmarshal(m.members["content"], &content); err != nil {
		return m, err
	}
	m.content = make([]keptBlock, len(content))
	for i, raw := range content {
		if err = json.Unmarshal(raw, &m.content[i].members); err != nil {
			return m, err
		}
		if err = json.Unmarshal(raw, &m.content[i]); err != nil {
			return m, err
		}
	}
	return m, nil
}

// rest returns what was not told yet of the answer, to its end. [errDiffers] says that
// what was told is of another: no event can mend that.
func (t *teller) rest(result json.RawMessage) ([]event, error) {
	t.out = nil
	if t.stopped {
		return nil, nil
	}
	m, err := readMessage(result)
	if err != nil {
		return nil, errDiffers
	}
	if !t.started {
		t.start(m)
	}
	late, ok := t.match(m.content)
	if !ok || t.ended && len(late) > 0 {
		return nil, errDiffers
	}
	for _, block := range late {
		t.whole(block)
	}
	if !t.ended {
		t.finish(m)
	}
	t.say(messageStop, map[string]any{})
	t.stopped = true
	return t.out, nil
}

// start tells that the message begins.
func (t *teller) start(m keptMessage) {
	begun := map[string]any{}
	for name, value := range m.members {
		begun[name] = value
	}
	usage := map[string]any{}
	var counts map[string]json.RawMessage
	_ = json.Unmarshal(m.members["usage"], &counts) // one that is not known is null
	for name, value := range counts {
		usage[name] = value
	}
	if len(usage) == 0 {
		usage = noUsage()
	}
	usage["output_tokens"] = 0
	begun["content"], begun["stop_reason"], begun["stop_sequence"], begun["usage"] = []any{}, nil, nil, usage
	t.say(messageStart, map[string]any{"message": begun})
	t.started = true
}

// match compares what was told with the content, and tells the rest of the block that
// is open. It returns what is to be told in blocks of their own: those not told yet, and
// text that had no place when it came.
func (t *teller) match(content []keptBlock) (late []keptBlock, ok bool) {
	told := 0
	for _, block := range content {
		if told == len(t.blocks) {
			late = append(late, block)
			continue
		}
		b := &t.blocks[told]
		rest, fits := b.restOf(block)
		if !fits {
			late = append(late, block)
			continue
		}
		told++
		switch {
		case t.open && told == len(t.blocks):
			t.close(block, rest)
		case rest != "" && b.kind == kindText:
			late = append(late, keptBlock{Type: kindText, Text: rest})
		case rest != "":
			return nil, false
		}
	}
	return late, told == len(t.blocks)
}

// restOf returns what of a kept block was not told. ok is false when it is not the block
// that was told.
func (b *toldBlock) restOf(block keptBlock) (rest string, ok bool) {
	if b.kind != block.Type {
		return "", false
	}
	said := b.text()
	switch b.kind {
	case kindText:
		return strings.CutPrefix(block.Text, said)
	case kindThinking:
		return strings.CutPrefix(block.Thinking, said)
	}
	if said == "" {
		return saysOf(block.Input), true
	}
	if json.Valid([]byte(said)) {
		return "", squeeze(said) == squeeze(string(block.Input))
	}
	return strings.CutPrefix(squeeze(string(block.Input)), squeeze(said))
}

// saysOf is the input of a tool if it says something: an empty one is told by itself.
func saysOf(input json.RawMessage) string {
	if s := squeeze(string(input)); s != "{}" && s != "null" {
		return s
	}
	return ""
}

// squeeze leaves the white space between the tokens of JSON out, also of JSON that is cut.
func squeeze(s string) string {
	var out strings.Builder
	quoted, escaped := false, false
	for _, c := range []byte(s) {
		if !quoted && strings.IndexByte(" \t\r\n", c) >= 0 {
			continue
		}
		out.WriteByte(c)
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = quoted
		case c == '"':
			quoted = !quoted
		}
	}
	return out.String()
}

// close tells the rest of the block that is open, and that it has ended.
func (t *teller) close(block keptBlock, rest string) {
	if rest != "" {
		t.delta(quote(rest))
	}
	b := t.last()
	for _, citation := range block.Citations[min(b.cited, len(block.Citations)):] {
		t.extra(map[string]any{"type": "citations_delta", "citation": citation})
	}
	if block.Type == kindThinking && block.Signature != "" && !b.signed {
		t.extra(map[string]any{"type": "signature_delta", "signature": block.Signature})
	}
	t.end()
}

// whole tells a block of which nothing was told.
func (t *teller) whole(block keptBlock) {
	begun := map[string]any{}
	for name, value := range block.members {
		begun[name] = value
	}
	rest := ""
	switch block.Type {
	case kindText:
		rest, begun["text"] = block.Text, ""
		delete(begun, "citations")
	case kindThinking:
		rest, begun["thinking"], begun["signature"] = block.Thinking, "", ""
	case kindToolUse:
		rest, begun["input"] = saysOf(block.Input), map[string]any{}
	}
	t.begin(block.Type, begun)
	t.close(block, rest)
}

// finish tells how the message ended and what it used.
func (t *teller) finish(m keptMessage) {
	delta := map[string]any{"stop_reason": nil, "stop_sequence": nil}
	for _, name := range []string{"stop_reason", "stop_sequence", "stop_details", "container"} {
		if value, ok := m.members[name]; ok {
			delta[name] = value
		}
	}
	var usage any = noUsage()
	if isObject(bytes.TrimSpace(m.members["usage"])) {
		usage = m.members["usage"]
	}
	t.say(messageDelta, map[string]any{"delta": delta, "usage": usage})
	t.ended = true
}
