package anthropic

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// message is a whole message, or what a stream opens with.
type message struct {
	Type        string          `json:"type"`
	ID          string          `json:"id"`
	Model       string          `json:"model"`
	Content     []contentBlock  `json:"content"`
	StopReason  string          `json:"stop_reason"`
	StopDetails *stopDetails    `json:"stop_details"`
	Usage       json.RawMessage `json:"usage"`
}

type contentBlock struct {
	Type  string          `json:"type"`
	Text  string          `json:"text"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

// stopDetails says more about a refusal.
type stopDetails struct {
	Category    string `json:"category"`
	Explanation string `json:"explanation"`
}

// readWhole reads a message that is one JSON object, as the stream it might
// have been.
func readWhole(body []byte) (transport.Answer, error) {
	_, m, err := readMessage(body)
	if err != nil {
		return transport.Answer{}, err
	}
	c := newCompletion(func(json.RawMessage, bool) {})
	return c.answer(c.replay(m))
}

// readMessage takes a body apart that has to be a message, and no error.
func readMessage(body []byte) (chat.Object, message, error) {
	reply, err := chat.ReadObject(body)
	if err != nil {
		return nil, message{}, &providers.Error{Class: providers.Malformed, Message: "the body is not a JSON object"}
	}
	if reportsError(reply) {
		return nil, message{}, reportedError(body)
	}
	var m message
	if json.Unmarshal(body, &m) != nil || m.Type != "message" {
		return nil, message{}, &providers.Error{Class: providers.Malformed, Message: "the body is not a message"}
	}
	return reply, m, nil
}

func (c *completion) replay(m message) error {
	if err := c.start(m); err != nil {
		return err
	}
	for i, b := range m.Content {
		if err := c.startBlock(int64(i), b); err != nil {
			return err
		}
		if err := c.stopBlock(int64(i)); err != nil {
			return err
		}
	}
	if err := c.addTop(delta{StopReason: m.StopReason, StopDetails: m.StopDetails}, nil); err != nil {
		return err
	}
	return c.stop()
}
