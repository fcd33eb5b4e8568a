package bridge

import (
	"encoding/json"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// Completion is a chat completion of one choice, taken apart.
type Completion struct {
	ID, Model string
	Created   int64
	// Text and Refusal are what the model said.
	Text, Refusal string
	ToolCalls     []ToolCall
	Finish        string
	Usage         providers.Usage
}

// ReadCompletion takes the answer of a provider apart. What is not a completion
// is an *[providers.Error].
func ReadCompletion(answer providers.Response) (Completion, error) {
	var body struct {
		ID      string `json:"id"`
		Created int64  `json:"created"`
		Choices []struct {
			Message struct {
				Content   json.RawMessage `json:"content"`
				Refusal   string          `json:"refusal"`
				ToolCalls []struct {
					ID       string `json:"id"`
					Function struct {
						Name      string `json:"name"`
						Arguments string `json:"arguments"`
					} `json:"function"`
				} `json:"tool_calls"`
			} `json:"message"`
		} `json:"choices"`
	}
	if json.Unmarshal(answer.Body, &body) != nil || len(body.Choices) == 0 {
		return Completion{}, malformed("the answer is no chat completion that can be translated")
	}
	said := body.Choices[0].Message
	text, err := readText(said.Content)
	if err != nil {
		return Completion{}, err
	}
	c := Completion{
		ID: body.ID, Model: answer.Model, Created: body.Created,
		Text: text, Refusal: said.Refusal, Finish: answer.FinishReason, Usage: answer.Usage,
	}
	for _, call := range said.ToolCalls {
		if call.Function.Name == "" {
			return Completion{}, malformed("a tool call of the answer names no function")
		}
		c.ToolCalls = append(c.ToolCalls, ToolCall{ID: call.ID, Name: call.Function.Name, Arguments: call.Function.Arguments})
	}
	return c, nil
}

// readText reads content: a text, nothing, or as some servers have it a list of
// which the texts are the answer and the rest is thought.
func readText(content json.RawMessage) (string, error) {
	if chat.IsNull(content) || content[0] == '"' {
		return chat.Text(content), nil
	}
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if json.Unmarshal(content, &parts) != nil {
		return "", malformed("the content of the answer has an unknown shape")
	}
	var text strings.Builder
	for _, part := range parts {
		if part.Type == "text" {
			text.WriteString(part.Text)
		}
	}
	return text.String(), nil
}

// Stopped says whether the answer ended at the bound of the request.
func (c Completion) Stopped() bool { return c.Finish == "length" || c.Finish == "model_length" }

func malformed(message string) error {
	return &providers.Error{Class: providers.Malformed, Message: message}
}
