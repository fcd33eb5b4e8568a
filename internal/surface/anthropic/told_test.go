package anthropic

import (
	"encoding/json"
	"fmt"
	"strings"
)

// told is a message as a client puts it together from its events.
type told struct {
	ID      string      `json:"id"`
	Model   string      `json:"model"`
	Content []toldPart  `json:"content"`
	Stop    *string     `json:"stop_reason"`
	Usage   *toldCounts `json:"usage"`
}

type toldCounts struct {
	Input  int64 `json:"input_tokens"`
	Output int64 `json:"output_tokens"`
}

type toldPart struct {
	Type      string            `json:"type"`
	Text      string            `json:"text"`
	Thinking  string            `json:"thinking"`
	Signature string            `json:"signature"`
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Input     json.RawMessage   `json:"input"`
	Citations []json.RawMessage `json:"citations"`
}

// client reads events as Anthropic's clients do: strictly in their order, one block
// after another.
type client struct {
	message       *told
	open          bool
	said          strings.Builder
	ended, closed bool
}

// read takes in one event.
func (c *client) read(e event) error {
	var d struct {
		Type    string    `json:"type"`
		Index   *int      `json:"index"`
		Message *told     `json:"message"`
		Block   *toldPart `json:"content_block"`
		Delta   *struct {
			Type      string          `json:"type"`
			Text      string          `json:"text"`
			Thinking  string          `json:"thinking"`
			Signature string          `json:"signature"`
			Partial   string          `json:"partial_json"`
			Citation  json.RawMessage `json:"citation"`
			Stop      *string         `json:"stop_reason"`
		} `json:"delta"`
		Usage *toldCounts `json:"usage"`
	}
	if strings.ContainsAny(string(e.Data), "\r\n") {
		return fmt.Errorf("%s is not one line", e.Name)
	}
	if err := json.Unmarshal(e.Data, &d); err != nil && !json.Valid(e.Data) {
		return fmt.Errorf("%s is not JSON: %s", e.Name, e.Data)
	}
	switch {
	case d.Type != e.Name:
		return fmt.Errorf("%s has the type %q", e.Name, d.Type)
	case c.closed:
		return fmt.Errorf("%s behind the end", e.Name)
	case (c.message == nil) != (e.Name == messageStart):
		return fmt.Errorf("%s in the wrong place", e.Name)
	case c.ended && e.Name != messageStop && e.Name != messageDelta:
		return fmt.Errorf("%s behind message_delta", e.Name)
	}
	switch e.Name {
	case messageStart:
		c.message = &told{}
		if d.Message != nil {
			c.message = d.Message
		}
		return nil
	case blockStart:
		if c.open || d.Index == nil || *d.Index != len(c.message.Content) || d.Block == nil {
			return fmt.Errorf("a block begins out of order: %s", e.Data)
		}
		c.open = true
		c.said.Reset()
		c.message.Content = append(c.message.Content, *d.Block)
		return nil
	case messageDelta:
		if c.open || d.Delta == nil || d.Usage == nil {
			return fmt.Errorf("the message ends out of order: %s", e.Data)
		}
		c.ended, c.message.Stop, c.message.Usage = true, d.Delta.Stop, d.Usage
		return nil
	case messageStop:
		if !c.ended {
			return fmt.Errorf("message_stop without message_delta")
		}
		c.closed = true
		return nil
	}
	if !c.open || d.Index == nil || *d.Index != len(c.message.Content)-1 {
		return fmt.Errorf("no such block is open: %s", e.Data)
	}
	b := &c.message.Content[*d.Index]
	if e.Name == blockStop {
		c.open = false
		if c.said.Len() > 0 {
			b.Input = json.RawMessage(c.said.String())
		}
		return nil
	}
	if e.Name != blockDelta || d.Delta == nil {
		return fmt.Errorf("no event of a message: %s", e.Data)
	}
	b.Text += d.Delta.Text
	b.Thinking += d.Delta.Thinking
	b.Signature += d.Delta.Signature
	c.said.WriteString(d.Delta.Partial)
	if d.Delta.Citation != nil {
		b.Citations = append(b.Citations, d.Delta.Citation)
	}
	return nil
}

// readAll takes in events, and says what is wrong with the first that is.
func (c *client) readAll(events []event) error {
	for _, e := range events {
		if err := c.read(e); err != nil {
			return err
		}
	}
	return nil
}
