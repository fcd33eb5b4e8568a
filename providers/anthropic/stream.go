package anthropic

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// streamEvent is any event of a streamed message. See the API reference,
// "Streaming messages": message_start, then for each block content_block_start,
// content_block_delta, content_block_stop, then message_delta, message_stop;
// ping and error anywhere.
type streamEvent struct {
	Type         string          `json:"type"`
	Index        int64           `json:"index"`
	Message      message         `json:"message"`
	ContentBlock contentBlock    `json:"content_block"`
	Delta        delta           `json:"delta"`
	Usage        json.RawMessage `json:"usage"`
}

// delta is that of a block or of the message.
type delta struct {
	Type        string       `json:"type"`
	Text        string       `json:"text"`
	PartialJSON string       `json:"partial_json"`
	Thinking    string       `json:"thinking"`
	StopReason  string       `json:"stop_reason"`
	StopDetails *stopDetails `json:"stop_details"`
}

// readStream reads a streamed message to its terminal event. What arrived is in
// the answer even when there is an error, which is an *providers.Error or what
// reading failed with.
func readStream(events *transport.Events, tell transport.Tell) (transport.Answer, error) {
	c := newCompletion(tell)
	for {
		e, err := events.Next()
		if errors.Is(err, io.EOF) {
			err = transport.ErrNoTerminalEvent
		}
		if err == nil {
			err = c.readEvent(e)
		}
		if err != nil || c.stopped {
			return c.answer(err)
		}
	}
}

func (c *completion) readEvent(e transport.Event) error {
	if len(bytes.TrimSpace(e.Data)) == 0 || e.Name == "ping" {
		return nil
	}
	if e.Name == "error" {
		return reportedError(e.Data)
	}
	var event streamEvent
	if err := json.Unmarshal(e.Data, &event); err != nil {
		return &providers.Error{Class: providers.Malformed, Message: "an event of the stream is not as specified"}
	}
	switch event.Type {
	case "error":
		return reportedError(e.Data)
	case "message_start":
		return c.start(event.Message)
	case "content_block_start":
		return c.startBlock(event.Index, event.ContentBlock)
	case "content_block_delta":
		return c.addDelta(event.Index, event.Delta)
	case "content_block_stop":
		return c.stopBlock(event.Index)
	case "message_delta":
		return c.addTop(event.Delta, event.Usage)
	case "message_stop":
		return c.stop()
	default: // ping, and what may be added in time: the format's rule is to pass over it
		return nil
	}
}

// start opens the answer.
func (c *completion) start(m message) error {
	if c.started {
		return errOrder
	}
	c.started = true
	c.out.ID, c.out.Model = m.ID, m.Model
	c.usage.Add(m.Usage)
	return c.out.Begin(0)
}

// startBlock opens a block. A tool call is told of at once, its arguments as
// they come.
func (c *completion) startBlock(index int64, b contentBlock) error {
	if !c.started || c.open[index] != nil || len(c.open) == maxOpen {
		return errOrder
	}
	opened := &openBlock{kind: b.Type, input: b.Input}
	switch b.Type {
	case "text":
		opened.deltas = "text_delta"
	case "tool_use":
		opened.deltas, opened.call = "input_json_delta", c.calls
		c.calls++
	case "thinking", "redacted_thinking":
	default:
		return errUnknownPart
	}
	c.open[index] = opened
	switch {
	case b.Type == "tool_use":
		return c.sendCall(chat.ToolCall{Index: opened.call, ID: b.ID, Name: b.Name})
	case b.Text != "":
		return c.sendText(b.Text)
	}
	c.tell(nil, false)
	return nil
}

func (c *completion) addDelta(index int64, d delta) error {
	b := c.open[index]
	if b == nil {
		return errOrder
	}
	switch d.Type {
	case b.deltas:
	case "thinking_delta":
		c.tell(nil, d.Thinking != "")
		return nil
	case "signature_delta", "citations_delta":
		c.tell(nil, false)
		return nil
	default:
		return errUnknownPart
	}
	if d.Type == "text_delta" {
		return c.sendText(d.Text)
	}
	if d.PartialJSON == "" {
		c.tell(nil, false)
		return nil
	}
	b.input = nil
	return c.sendArguments(b.call, d.PartialJSON)
}

// stopBlock closes a block. A tool call without arguments has come as none at
// all: for chat completions that is an empty object.
func (c *completion) stopBlock(index int64) error {
	b := c.open[index]
	if b == nil {
		return errOrder
	}
	delete(c.open, index)
	if b.kind == "tool_use" && b.input != nil {
		return c.sendArguments(b.call, string(b.input))
	}
	c.tell(nil, false)
	return nil
}

// addTop takes in changes of the message itself. Counts are cumulative.
func (c *completion) addTop(d delta, usage json.RawMessage) error {
	if !c.started {
		return errOrder
	}
	if d.StopReason != "" {
		c.stopReason, c.details = d.StopReason, d.StopDetails
	}
	c.usage.Add(usage)
	c.tell(nil, false)
	return nil
}

// stop ends the answer at its terminal event.
func (c *completion) stop() error {
	if !c.started || len(c.open) > 0 {
		return errOrder
	}
	finish, err := finishOf(c.stopReason, c.details)
	if err != nil {
		return err
	}
	if c.stopReason == "tool_use" && !c.argumentsAreWhole() {
		return &providers.Error{Class: providers.Malformed, Message: "the arguments of a tool call are not a JSON object"}
	}
	c.stopped = true
	if !c.spoke && c.calls == 0 { // the model may have nothing to say
		if err := c.sendText(""); err != nil {
			return err
		}
	}
	c.finished = finish
	if err := c.out.Finish(0, finish); err != nil {
		return err
	}
	return c.out.Usage(c.usage.counts())
}

// argumentsAreWhole says whether each tool call's arguments are a JSON object.
func (c *completion) argumentsAreWhole() bool {
	for _, arguments := range c.arguments {
		if _, err := chat.ReadObject(arguments); err != nil {
			return false
		}
	}
	return true
}
