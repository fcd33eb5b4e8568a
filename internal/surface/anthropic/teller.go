package anthropic

import (
	"bytes"
	"encoding/json"
)

// event is one server-sent event of a streamed message.
type event struct {
	Name string
	// Data is JSON in one line.
	Data json.RawMessage
}

// The events of a message. Each has its name as the type in its data.
const (
	messageStart = "message_start"
	blockStart   = "content_block_start"
	blockDelta   = "content_block_delta"
	blockStop    = "content_block_stop"
	messageDelta = "message_delta"
	messageStop  = "message_stop"
)

// teller makes the events of one message out of the pieces of an answer, be they events
// of Messages or chunks of a chat completion, and of the answer as it was kept. Whatever
// comes, what is told has the order of Anthropic's API: message_start; of each block of
// the content, one after another, content_block_start, its deltas, content_block_stop;
// message_delta; message_stop. Its zero value has told nothing.
//
// A piece that has no place in that order is not told, and none after it: pieces are a
// preview, and [teller.rest] tells what they left out.
type teller struct {
	started bool
	// blocks are those told of; only the last may be open.
	blocks []toldBlock
	open   bool
	// ended says that message_delta was told, stopped that message_stop was.
	ended, stopped bool
	// lost says that a piece was not told.
	lost bool
	// call is the index, among the tool calls of a chat completion, of the last told of.
	call int64
	out  []event
}

// toldBlock is a block of the content as far as it was told.
type toldBlock struct {
	kind string
	// said is its text, its thought or its input, as it is between the quotes of a JSON
	// string: what is cut in the middle of a character is whole again once it is joined.
	said []byte
	// cited is how many citations were told, signed that the signature of a thought was.
	cited  int
	signed bool
}

// piece is a piece of an answer: an event of Messages, or a chunk of a chat completion.
type piece struct {
	Type    string          `json:"type"`
	Index   *int            `json:"index"`
	Message json.RawMessage `json:"message"`
	Block   json.RawMessage `json:"content_block"`
	Delta   json.RawMessage `json:"delta"`
	Usage   json.RawMessage `json:"usage"`

	ID      string        `json:"id"`
	Model   string        `json:"model"`
	Choices []chunkChoice `json:"choices"`
}

// at reports whether the piece is of the nth block.
func (p piece) at(n int) bool { return p.Index != nil && *p.Index == n }

// add takes in a piece and returns what is to be told of it.
func (t *teller) add(raw json.RawMessage) []event {
	var p piece
	if t.lost || t.stopped || json.Unmarshal(raw, &p) != nil {
		t.lost = true
		return nil
	}
	t.out = nil
	if p.Type != "" {
		t.lost = !t.addEvent(p, raw)
	} else {
		t.lost = !t.addChunk(p)
	}
	return t.out
}

// addEvent tells an event of Messages as it came. ok is false when it has no place.
func (t *teller) addEvent(p piece, raw json.RawMessage) (ok bool) {
	switch p.Type {
	case messageStart:
		ok = !t.started && isObject(p.Message)
		t.started = t.started || ok
	case blockStart:
		ok = t.canBegin() && p.at(len(t.blocks)) && t.addBlock(p.Block)
	case blockDelta:
		ok = t.open && p.at(len(t.blocks)-1) && t.last().grow(p.Delta)
	case blockStop:
		ok = t.open && p.at(len(t.blocks)-1)
		t.open = t.open && !ok
	case messageDelta:
		ok = t.canBegin() && isObject(p.Delta) && isObject(p.Usage)
		t.ended = t.ended || ok
	case messageStop:
		ok = t.ended
		t.stopped = ok
	default: // what may be added in time: the format's rule is to pass over it
		return true
	}
	if ok {
		t.tell(p.Type, raw)
	}
	return ok
}

// canBegin reports whether a block can begin, or the message end.
func (t *teller) canBegin() bool { return t.started && !t.open && !t.ended }

func (t *teller) last() *toldBlock { return &t.blocks[len(t.blocks)-1] }

// addBlock notes a block that begins. What it begins with is a part of what it says.
func (t *teller) addBlock(raw json.RawMessage) bool {
	var block struct {
		Type     string          `json:"type"`
		Text     json.RawMessage `json:"text"`
		Thinking json.RawMessage `json:"thinking"`
		Input    json.RawMessage `json:"input"`
	}
	if json.Unmarshal(raw, &block) != nil || block.Type == "" {
		return false
	}
	b := toldBlock{kind: block.Type}
	switch b.kind {
	case kindText:
		b.said = inner(block.Text)
	case kindThinking:
		b.said = inner(block.Thinking)
	default: // what runs at the provider may come whole
		b.said = inner(quote(saysOf(block.Input)))
	}
	t.blocks, t.open = append(t.blocks, b), true
	return true
}

// The kinds of blocks whose content comes in pieces; all others come whole but for the
// input of a tool.
const (
	kindText     = "text"
	kindThinking = "thinking"
	kindToolUse  = "tool_use"
)

// grow adds what a delta says to the block. It reports whether the delta is one for such
// a block; one of a type that is not known is.
func (b *toldBlock) grow(raw json.RawMessage) bool {
	var delta struct {
		Type     string          `json:"type"`
		Text     json.RawMessage `json:"text"`
		Thinking json.RawMessage `json:"thinking"`
		Partial  json.RawMessage `json:"partial_json"`
	}
	if json.Unmarshal(raw, &delta) != nil || delta.Type == "" {
		return false
	}
	switch delta.Type {
	case "text_delta":
		return b.say(kindText, delta.Text)
	case "thinking_delta":
		return b.say(kindThinking, delta.Thinking)
	case "input_json_delta":
		return b.kind != kindText && b.kind != kindThinking && b.say(b.kind, delta.Partial)
	case "citations_delta":
		b.cited++
		return b.kind == kindText
	case "signature_delta":
		b.signed = true
		return b.kind == kindThinking
	default:
		return true
	}
}

func (b *toldBlock) say(kind string, literal json.RawMessage) bool {
	if b.kind != kind || !isString(literal) {
		return false
	}
	b.said = append(b.said, inner(literal)...)
	return true
}

// text is what the block says.
func (b *toldBlock) text() string { return unquote(b.said) }

// tell adds an event. raw is JSON.
func (t *teller) tell(name string, raw json.RawMessage) {
	var line bytes.Buffer
	_ = json.Compact(&line, raw) // into one line; it is JSON
	t.out = append(t.out, event{name, line.Bytes()})
}

// say tells an event made here.
func (t *teller) say(name string, members map[string]any) {
	members["type"] = name
	raw, err := json.Marshal(members)
	if err != nil {
		panic("anthropic: an event is not JSON: " + err.Error()) // it is made of texts and JSON
	}
	t.tell(name, raw)
}

// begin tells a block that begins, with the members of block beside its type.
func (t *teller) begin(kind string, block map[string]any) {
	block["type"] = kind
	t.say(blockStart, map[string]any{"index": len(t.blocks), "content_block": block})
	t.blocks, t.open = append(t.blocks, toldBlock{kind: kind}), true
}

// delta tells a piece of the block that is open: literal is a JSON string.
func (t *teller) delta(literal json.RawMessage) {
	b := t.last()
	b.said = append(b.said, inner(literal)...)
	delta := map[string]any{"type": "input_json_delta", "partial_json": literal}
	switch b.kind {
	case kindText:
		delta = map[string]any{"type": "text_delta", "text": literal}
	case kindThinking:
		delta = map[string]any{"type": "thinking_delta", "thinking": literal}
	}
	t.extra(delta)
}

// extra tells a delta that is no part of what the block says.
func (t *teller) extra(delta map[string]any) {
	t.say(blockDelta, map[string]any{"index": len(t.blocks) - 1, "delta": delta})
}

// end tells that the block that is open has ended.
func (t *teller) end() {
	t.say(blockStop, map[string]any{"index": len(t.blocks) - 1})
	t.open = false
}

func isObject(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '{' }

func isString(raw json.RawMessage) bool { return len(raw) > 0 && raw[0] == '"' }

// inner is what is between the quotes of a JSON string; nothing if it is none.
func inner(literal json.RawMessage) []byte {
	if !isString(literal) {
		return nil
	}
	return literal[1 : len(literal)-1]
}

// unquote is the text of what is between the quotes of a JSON string.
func unquote(said []byte) string {
	var s string
	_ = json.Unmarshal(append(append([]byte{'"'}, said...), '"'), &s) // joined of JSON strings
	return s
}

// quote is s as a JSON string.
func quote(s string) json.RawMessage {
	raw, err := json.Marshal(s)
	if err != nil {
		return json.RawMessage(`""`) // a string always marshals
	}
	return raw
}
