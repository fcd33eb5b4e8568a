package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// native is a message of Messages itself, put together from its stream as it
// would have come whole. What is not known of it goes through.
type native struct {
	tell    transport.Tell
	members chat.Object // all but content and usage
	blocks  []*nativeBlock
	usage   usage
	text    strings.Builder
	finish  string
	stopped bool
}

// nativeBlock is a block of the content: what it began as, and what was added.
type nativeBlock struct {
	members                      chat.Object
	text, thinking, sign, inputs []byte
	citations                    []json.RawMessage
	closed                       bool
}

// maxBlocks bounds the blocks of one message, which in memory are many times the
// size they have on the wire.
const maxBlocks = 1 << 14

// nativeEvent is any event of a streamed message.
type nativeEvent struct {
	Type         string          `json:"type"`
	Index        int             `json:"index"`
	Message      chat.Object     `json:"message"`
	ContentBlock chat.Object     `json:"content_block"`
	Delta        chat.Object     `json:"delta"`
	Usage        json.RawMessage `json:"usage"`
}

// readNativeStream reads a streamed message to its terminal event, and tells of
// each event that is known but for pings. What arrived is in the answer even when
// there is an error, which is an *providers.Error or what reading failed with.
func readNativeStream(events *transport.Events, tell transport.Tell) (transport.Answer, error) {
	n := &native{tell: tell}
	for {
		e, err := events.Next()
		if errors.Is(err, io.EOF) {
			err = transport.ErrNoTerminalEvent
		}
		if err == nil {
			err = n.read(e)
		}
		if err != nil || n.stopped {
			return n.answer(err)
		}
	}
}

// answer is what came: whole if err is nil.
func (n *native) answer(err error) (transport.Answer, error) {
	got := transport.Answer{
		Model: chat.Text(n.members["model"]), Finish: n.finish, Usage: n.usage.counts(), Partial: n.text.String(),
	}
	if err == nil {
		got.Body, err = n.body()
	}
	return got, err
}

func (n *native) read(e transport.Event) error {
	if len(bytes.TrimSpace(e.Data)) == 0 || e.Name == "ping" {
		return nil
	}
	if e.Name == "error" {
		return reportedError(e.Data)
	}
	var event nativeEvent
	if err := json.Unmarshal(e.Data, &event); err != nil {
		return &providers.Error{Class: providers.Malformed, Message: "an event of the stream is not as specified"}
	}
	if event.Type == "error" {
		return reportedError(e.Data)
	}
	if !strings.HasPrefix(event.Type, "message_") && !strings.HasPrefix(event.Type, "content_block_") {
		return nil // ping, and what may be added in time: the format's rule is to pass over it
	}
	substance, err := n.add(event)
	if err == nil {
		n.tell(e.Data, substance)
	}
	return err
}

// add takes in an event and says whether it carries something of the answer.
func (n *native) add(event nativeEvent) (substance bool, err error) {
	if event.Type != "message_start" && n.members == nil && strings.HasPrefix(event.Type, "message_") {
		return false, errOrder
	}
	switch event.Type {
	case "message_start":
		return false, n.start(event.Message)
	case "content_block_start":
		return n.startBlock(event.Index, event.ContentBlock)
	case "content_block_delta":
		return n.addDelta(event.Index, event.Delta)
	case "content_block_stop":
		b := n.open(event.Index)
		if b == nil {
			return false, errOrder
		}
		b.closed = true
	case "message_delta":
		maps.Copy(n.members, event.Delta) // null is a last value as well
		n.usage.Add(event.Usage)
	case "message_stop":
		return true, n.stop()
	}
	return false, nil
}

func (n *native) start(message chat.Object) error {
	if n.members != nil || message == nil {
		return errOrder
	}
	n.members = message
	n.usage.Add(message["usage"])
	return nil
}

// startBlock opens the next block. Most have their content to come; what runs at
// the server comes whole.
func (n *native) startBlock(index int, block chat.Object) (substance bool, err error) {
	if n.members == nil || block == nil || index != len(n.blocks) || index == maxBlocks {
		return false, errOrder
	}
	b := &nativeBlock{members: block, text: []byte(chat.Text(block["text"]))}
	n.text.Write(b.text)
	n.blocks = append(n.blocks, b)
	kind := chat.Text(block["type"])
	return len(b.text) > 0 || kind == "tool_use" || kind == "server_tool_use", nil
}

// open is the block of that index if it is open, or nil.
func (n *native) open(index int) *nativeBlock {
	if index < 0 || index >= len(n.blocks) || n.blocks[index].closed {
		return nil
	}
	return n.blocks[index]
}

func (n *native) addDelta(index int, delta chat.Object) (substance bool, err error) {
	b := n.open(index)
	if b == nil {
		return false, errOrder
	}
	grow := func(into *[]byte, name string) bool {
		piece := chat.Text(delta[name])
		*into = append(*into, piece...)
		return piece != ""
	}
	switch chat.Text(delta["type"]) {
	case "text_delta":
		n.text.WriteString(chat.Text(delta["text"]))
		return grow(&b.text, "text"), nil
	case "thinking_delta":
		return grow(&b.thinking, "thinking"), nil
	case "input_json_delta":
		return grow(&b.inputs, "partial_json"), nil
	case "signature_delta":
		grow(&b.sign, "signature")
		return false, nil
	case "citations_delta":
		b.citations = append(b.citations, delta["citation"])
		return false, nil
	default:
		return false, errUnknownPart
	}
}

// stop ends the message at its terminal event.
func (n *native) stop() error {
	for _, b := range n.blocks {
		if !b.closed {
			return errOrder
		}
	}
	var err error
	n.finish, err = finishOfNative(n.members)
	n.stopped = err == nil
	return err
}

// finishOfNative is why a message ended, in the words of chat completions. One
// that a tool of the provider's paused is whole for who asked for such a tool.
func finishOfNative(message chat.Object) (string, error) {
	var details *stopDetails
	if json.Unmarshal(message["stop_details"], &details) != nil {
		details = nil // it only explains
	}
	stop := chat.Text(message["stop_reason"])
	if stop == "pause_turn" {
		return stop, nil
	}
	return finishOf(stop, details)
}

// body is the message with its content.
func (n *native) body() (json.RawMessage, error) {
	content := make([]json.RawMessage, 0, len(n.blocks))
	for _, b := range n.blocks {
		block, err := b.body(n.finish)
		if err != nil {
			return nil, err
		}
		content = append(content, block)
	}
	n.members["content"] = encodeRaw(content)
	if members := n.usage.All(); members != nil {
		n.members["usage"] = encodeRaw(members)
	}
	return chat.ValidUTF8(encodeRaw(n.members)), nil
}

// body is the block with what was added to it. Input that the bound of the answer
// cut is an empty object, as in Anthropic's own clients.
func (b *nativeBlock) body(finish string) (json.RawMessage, error) {
	for name, added := range map[string][]byte{"text": b.text, "thinking": b.thinking, "signature": b.sign} {
		if len(added) > 0 {
			b.members[name] = chat.Quote(string(added))
		}
	}
	if len(b.citations) > 0 {
		b.members["citations"] = encodeRaw(b.citations)
	}
	if len(b.inputs) > 0 {
		if _, err := chat.ReadObject(b.inputs); err == nil {
			b.members["input"] = b.inputs
		} else if finish != "length" {
			return nil, &providers.Error{Class: providers.Malformed, Message: "the arguments of a tool call are not a JSON object"}
		}
	}
	return encodeRaw(b.members), nil
}

// encodeRaw writes what is made of JSON.
func encodeRaw(value any) json.RawMessage {
	raw, err := json.Marshal(value)
	if err != nil {
		return json.RawMessage("null") // it came as JSON
	}
	return raw
}

// readNativeWhole reads a message that is one JSON object.
func readNativeWhole(body []byte) (transport.Answer, error) {
	reply, m, err := readMessage(body)
	if err != nil {
		return transport.Answer{}, err
	}
	got := transport.Answer{Model: m.Model}
	var u usage
	u.Add(m.Usage)
	got.Usage = u.counts()
	for _, block := range m.Content {
		if block.Type == "text" {
			got.Partial += block.Text
		}
	}
	if got.Finish, err = finishOfNative(reply); err == nil {
		got.Body = chat.ValidUTF8(body)
	}
	return got, err
}

// nativeBody is a request to Messages itself, with the model replaced and
// streaming switched on or off.
func (p *Provider) nativeBody(req providers.Request) ([]byte, error) {
	members, err := chat.ReadObject(req.Body)
	if err != nil {
		return nil, &providers.Error{Class: providers.BadRequest, Message: "the request's body is not a JSON object"}
	}
	if req.Model != "" {
		members["model"] = chat.Quote(req.Model)
	}
	members["stream"] = json.RawMessage("true")
	if p.config.NoStreaming {
		members["stream"] = json.RawMessage("false")
	}
	return encodeRaw(members), nil
}
