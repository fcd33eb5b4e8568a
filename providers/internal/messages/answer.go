package messages

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/bridge"
	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// unknown is a member that every message has, and of which a chat completion tells
// nothing: null.
type unknown = *struct{}

// message is an answer of Messages.
type message struct {
	ID           string       `json:"id"`
	Type         string       `json:"type"`
	Role         string       `json:"role"`
	Model        string       `json:"model"`
	Content      []any        `json:"content"`
	StopReason   string       `json:"stop_reason"`
	StopSequence *string      `json:"stop_sequence"`
	StopDetails  *stopDetails `json:"stop_details"`
	Container    unknown      `json:"container"`
	Diagnostics  unknown      `json:"diagnostics"`
	Usage        *usage       `json:"usage"`
}

// stopDetails says more about a refusal.
type stopDetails struct {
	Type        string  `json:"type"`
	Category    *string `json:"category"`
	Explanation string  `json:"explanation"`
}

type textBlock struct {
	Type      string     `json:"type"`
	Text      string     `json:"text"`
	Citations []struct{} `json:"citations"`
}

type toolUse struct {
	Type  string          `json:"type"`
	ID    string          `json:"id"`
	Name  string          `json:"name"`
	Input json.RawMessage `json:"input"`
}

type usage struct {
	InputTokens   int64         `json:"input_tokens"`
	CacheCreation int64         `json:"cache_creation_input_tokens"`
	CacheRead     int64         `json:"cache_read_input_tokens"`
	OutputTokens  int64         `json:"output_tokens"`
	OutputDetails outputDetails `json:"output_tokens_details"`
	CacheDetails  unknown       `json:"cache_creation"`
	ServerToolUse unknown       `json:"server_tool_use"`
	InferenceGeo  unknown       `json:"inference_geo"`
	ServiceTier   unknown       `json:"service_tier"`
	Speed         unknown       `json:"speed"`
}

type outputDetails struct {
	ThinkingTokens int64 `json:"thinking_tokens"`
}

// FromChat says a chat completion as a message. Which stop sequence ended it is
// not known, so that reads as the end of a turn.
func FromChat(_ json.RawMessage, c bridge.Completion) (json.RawMessage, error) {
	m := message{
		ID: "msg_" + c.ID, Type: "message", Role: "assistant", Model: c.Model, Content: []any{},
		StopReason: "end_turn", Usage: usageOf(c.Usage),
	}
	switch {
	case c.Stopped():
		m.StopReason = "max_tokens"
	case c.Refusal != "":
		m.StopReason, m.StopDetails = "refusal", &stopDetails{Type: "refusal", Explanation: c.Refusal}
	case len(c.ToolCalls) > 0:
		m.StopReason = "tool_use"
	}
	if text := cmp.Or(c.Text, c.Refusal); text != "" {
		m.Content = append(m.Content, textBlock{Type: "text", Text: text})
	}
	for i, call := range c.ToolCalls {
		input, err := inputOf(call, c.Stopped())
		if err != nil {
			return nil, err
		}
		id := cmp.Or(call.ID, fmt.Sprintf("toolu_%s_%d", c.ID, i))
		m.Content = append(m.Content, toolUse{"tool_use", id, call.Name, input})
	}
	return json.Marshal(m)
}

// inputOf is the input of a tool's use: no arguments are an empty object, as are
// those that the bound of the answer cut.
func inputOf(call bridge.ToolCall, cut bool) (json.RawMessage, error) {
	if _, err := chat.ReadObject([]byte(call.Arguments)); err == nil {
		return json.RawMessage(call.Arguments), nil
	}
	if call.Arguments == "" || cut {
		return json.RawMessage("{}"), nil
	}
	return nil, &providers.Error{Class: providers.Malformed, Message: "the arguments of a tool call are not a JSON object"}
}

// usageOf counts cached input apart, as Messages does.
func usageOf(u providers.Usage) *usage {
	if !u.Known {
		return nil
	}
	return &usage{
		InputTokens: max(0, u.InputTokens-u.CachedTokens), CacheRead: u.CachedTokens,
		OutputTokens: u.OutputTokens, OutputDetails: outputDetails{u.ReasoningTokens},
	}
}
