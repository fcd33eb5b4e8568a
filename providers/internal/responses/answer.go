package responses

import (
	"cmp"
	"encoding/json"
	"fmt"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/bridge"
	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// response is an answer of Responses: what every one has, in the order of the
// API's own.
type response struct {
	ID                 string             `json:"id"`
	Object             string             `json:"object"`
	CreatedAt          int64              `json:"created_at"`
	Status             string             `json:"status"`
	Background         bool               `json:"background"`
	Error              *struct{}          `json:"error"`
	IncompleteDetails  *incompleteDetails `json:"incomplete_details"`
	Instructions       json.RawMessage    `json:"instructions"`
	MaxOutputTokens    json.RawMessage    `json:"max_output_tokens"`
	Metadata           json.RawMessage    `json:"metadata"`
	Model              string             `json:"model"`
	Output             []any              `json:"output"`
	ParallelToolCalls  json.RawMessage    `json:"parallel_tool_calls"`
	PreviousResponseID *string            `json:"previous_response_id"`
	Reasoning          json.RawMessage    `json:"reasoning"`
	Store              bool               `json:"store"`
	Temperature        json.RawMessage    `json:"temperature"`
	Text               json.RawMessage    `json:"text"`
	ToolChoice         json.RawMessage    `json:"tool_choice"`
	Tools              json.RawMessage    `json:"tools"`
	TopP               json.RawMessage    `json:"top_p"`
	Truncation         string             `json:"truncation"`
	Usage              *usage             `json:"usage"`
}

type incompleteDetails struct {
	Reason string `json:"reason"`
}

type message struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Role    string `json:"role"`
	Status  string `json:"status"`
	Content []any  `json:"content"`
}

type outputText struct {
	Type        string     `json:"type"`
	Text        string     `json:"text"`
	Annotations []struct{} `json:"annotations"`
	Logprobs    []struct{} `json:"logprobs"`
}

type refusal struct {
	Type    string `json:"type"`
	Refusal string `json:"refusal"`
}

type functionCall struct {
	ID        string `json:"id"`
	Type      string `json:"type"`
	Status    string `json:"status"`
	CallID    string `json:"call_id"`
	Name      string `json:"name"`
	Arguments string `json:"arguments"`
}

type usage struct {
	InputTokens   int64         `json:"input_tokens"`
	InputDetails  inputDetails  `json:"input_tokens_details"`
	OutputTokens  int64         `json:"output_tokens"`
	OutputDetails outputDetails `json:"output_tokens_details"`
	TotalTokens   int64         `json:"total_tokens"`
}

type inputDetails struct {
	CachedTokens     int64 `json:"cached_tokens"`
	CacheWriteTokens int64 `json:"cache_write_tokens"` // not told apart from others
}

type outputDetails struct {
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

// FromChat says a chat completion as the response to request. What of the request
// a response repeats is the request's own, or what leaving it out means.
func FromChat(request json.RawMessage, c bridge.Completion) (json.RawMessage, error) {
	asked, err := chat.ReadObject(request)
	if err != nil {
		return nil, &providers.Error{Class: providers.BadRequest, Message: "the request's body is not a JSON object"}
	}
	repeat := func(name, otherwise string) json.RawMessage {
		if raw := asked[name]; !chat.IsNull(raw) {
			return raw
		}
		return json.RawMessage(otherwise)
	}
	r := response{
		ID: "resp_" + c.ID, Object: "response", CreatedAt: c.Created, Status: "completed", Model: c.Model,
		Instructions: repeat("instructions", "null"), MaxOutputTokens: repeat("max_output_tokens", "null"),
		Metadata: repeat("metadata", "{}"), ParallelToolCalls: repeat("parallel_tool_calls", "true"),
		Reasoning: repeat("reasoning", "null"), Temperature: repeat("temperature", "null"),
		Text: repeat("text", `{"format":{"type":"text"}}`), ToolChoice: repeat("tool_choice", `"auto"`),
		Tools: repeat("tools", "[]"), TopP: repeat("top_p", "null"), Truncation: "disabled", Usage: usageOf(c.Usage),
	}
	if c.Stopped() {
		r.Status, r.IncompleteDetails = "incomplete", &incompleteDetails{"max_output_tokens"}
	}
	r.Output = outputOf(c, r.Status)
	return json.Marshal(r)
}

// outputOf is what the model said, then the functions it asks for. A model that
// said nothing at all has a message that is empty.
func outputOf(c bridge.Completion, status string) []any {
	var output []any
	said := message{ID: "msg_" + c.ID, Type: "message", Role: "assistant", Status: status}
	if c.Text != "" || c.Refusal == "" {
		said.Content = append(said.Content, outputText{"output_text", c.Text, []struct{}{}, []struct{}{}})
	}
	if c.Refusal != "" {
		said.Content = append(said.Content, refusal{"refusal", c.Refusal})
	}
	if c.Text != "" || c.Refusal != "" || len(c.ToolCalls) == 0 {
		output = append(output, said)
	}
	for i, call := range c.ToolCalls {
		id := fmt.Sprintf("fc_%s_%d", c.ID, i)
		output = append(output, functionCall{id, "function_call", status, cmp.Or(call.ID, id), call.Name, call.Arguments})
	}
	return output
}

func usageOf(u providers.Usage) *usage {
	if !u.Known {
		return nil
	}
	return &usage{
		InputTokens: u.InputTokens, InputDetails: inputDetails{CachedTokens: u.CachedTokens},
		OutputTokens: u.OutputTokens, OutputDetails: outputDetails{u.ReasoningTokens},
		TotalTokens: u.InputTokens + u.OutputTokens,
	}
}
