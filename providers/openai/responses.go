package openai

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// readResponseStream reads a streamed response to its terminal event, which
// carries the response as a whole: response.completed, response.incomplete or
// response.failed. What arrived is in the answer even when there is an error,
// which is an *providers.Error or what reading failed with.
func readResponseStream(events *transport.Events, tell transport.Tell) (transport.Answer, error) {
	var s responseStream
	for !s.ended {
		e, err := events.Next()
		if errors.Is(err, io.EOF) {
			err = transport.ErrNoTerminalEvent
		}
		if err == nil {
			err = s.read(e, tell)
		}
		if err != nil {
			return s.unfinished(), err
		}
	}
	return s.answer, nil
}

// responseStream is a response under way.
type responseStream struct {
	answer transport.Answer
	text   strings.Builder // told so far
	ended  bool
}

// unfinished is what came of a response that is not whole.
func (s *responseStream) unfinished() transport.Answer {
	s.answer.Body = nil
	if s.answer.Partial == "" {
		s.answer.Partial = s.text.String()
	}
	return s.answer
}

func (s *responseStream) read(e transport.Event, tell transport.Tell) error {
	data := bytes.TrimSpace(e.Data)
	if len(data) == 0 {
		return nil
	}
	if bytes.Equal(data, doneEvent) { // the end of another format
		return transport.ErrNoTerminalEvent
	}
	event, err := chat.ReadObject(data)
	if err != nil && e.Name == "error" {
		return reportedError(nil, data)
	}
	if err != nil {
		return &providers.Error{Class: providers.Malformed, Message: "an event of the stream is not a JSON object"}
	}
	kind := transport.OrDefault(chat.Text(event["type"]), e.Name)
	switch kind {
	case "error":
		return reportedError(event, data)
	case "response.completed", "response.incomplete", "response.failed":
		if err := s.end(event["response"]); err != nil {
			return err
		}
		tell(e.Data, true)
		return nil
	}
	if reportsError(event) {
		return reportedError(event, data)
	}
	tell(e.Data, s.note(kind, event))
	return nil
}

// note takes in an event that is not the last, and says whether it carries
// something of the answer: a piece of text, of arguments, of a thought.
func (s *responseStream) note(kind string, event chat.Object) (substance bool) {
	if head, err := chat.ReadObject(event["response"]); err == nil {
		s.answer.Model = chat.Text(head["model"])
	}
	if kind == "response.output_text.delta" {
		s.text.WriteString(chat.Text(event["delta"]))
	}
	return strings.HasSuffix(kind, ".delta") && !chat.IsEmpty(event["delta"])
}

// end takes in the response of the terminal event. Some servers send one without
// what they have told before.
func (s *responseStream) end(response json.RawMessage) error {
	answer, err := readResponse(response)
	answer.Model = transport.OrDefault(answer.Model, s.answer.Model)
	s.answer = answer
	if err != nil {
		return err
	}
	if answer.Partial == "" && s.text.Len() > 0 {
		return &providers.Error{Class: providers.Malformed, Message: "the response lacks the text that was streamed"}
	}
	s.ended = true
	return nil
}

// readResponse reads a response that is one JSON object.
func readResponse(body []byte) (transport.Answer, error) {
	reply, err := chat.ReadObject(body)
	if err != nil {
		return transport.Answer{}, &providers.Error{Class: providers.Malformed, Message: "the response is not a JSON object"}
	}
	got := transport.Answer{Model: chat.Text(reply["model"]), Usage: responseUsage(reply["usage"])}
	var output []outputItem
	if raw := reply["output"]; !chat.IsNull(raw) && json.Unmarshal(raw, &output) != nil {
		return got, &providers.Error{Class: providers.Malformed, Message: "the response's output has an unknown shape"}
	}
	got.Partial = textOf(output)
	if reportsError(reply) {
		return got, reportedError(reply, body)
	}
	if got.Finish, err = finishOfResponse(reply, output); err != nil {
		return got, err
	}
	got.Body = chat.ValidUTF8(body)
	return got, nil
}

// outputItem is what of an output item is looked at. The content of a message is
// a list; of others it may be anything.
type outputItem struct {
	Type    string          `json:"type"`
	Content json.RawMessage `json:"content"`
}

// textOf is the text of a response's messages.
func textOf(output []outputItem) string {
	var text strings.Builder
	for _, item := range output {
		var parts []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}
		if item.Type != "message" || json.Unmarshal(item.Content, &parts) != nil {
			continue
		}
		for _, part := range parts {
			if part.Type == "output_text" {
				text.WriteString(part.Text)
			}
		}
	}
	return text.String()
}

// finishOfResponse judges a response by its status and says why it ended, in the
// words of chat completions.
func finishOfResponse(reply chat.Object, output []outputItem) (string, error) {
	switch status := chat.Text(reply["status"]); status {
	case "completed":
		return finishOfOutput(output)
	case "incomplete":
		return finishOfIncomplete(chat.Text(chat.Member(reply["incomplete_details"], "reason")))
	case "failed":
		return "", &providers.Error{Class: providers.ServerError, Message: "the provider failed, and did not say why"}
	case "cancelled", "queued", "in_progress":
		return "", &providers.Error{Class: providers.Truncated, Message: "the response has not come to its end"}
	default:
		return "", &providers.Error{Class: providers.Malformed, Message: "the body is not a response"}
	}
}

func finishOfOutput(output []outputItem) (string, error) {
	if len(output) == 0 {
		return "", &providers.Error{Class: providers.Malformed, Message: "the response has no output"}
	}
	for _, item := range output {
		if item.Type == "function_call" || item.Type == "custom_tool_call" {
			return "tool_calls", nil
		}
	}
	return "stop", nil
}

// finishOfIncomplete judges a response that ended before the model had: at the
// bound of the request it is an answer, behind a filter it is none.
func finishOfIncomplete(reason string) (string, error) {
	switch reason {
	case "":
		return "", &providers.Error{Class: providers.Truncated, Message: "the response is incomplete and does not say why"}
	case "content_filter":
		failure := badFinishes[reason]
		return "", &failure
	case "max_output_tokens":
		return "length", nil
	default:
		return reason, nil
	}
}

// responseUsage reads the usage of a response.
func responseUsage(raw json.RawMessage) providers.Usage {
	counts, err := chat.ReadObject(raw)
	if err != nil {
		return providers.Usage{}
	}
	input, hasInput := chat.Count(counts["input_tokens"])
	output, hasOutput := chat.Count(counts["output_tokens"])
	if !hasInput || !hasOutput {
		return providers.Usage{}
	}
	cached, _ := chat.Count(chat.Member(counts["input_tokens_details"], "cached_tokens"))
	reasoning, _ := chat.Count(chat.Member(counts["output_tokens_details"], "reasoning_tokens"))
	return providers.Usage{
		Known: true, InputTokens: input, OutputTokens: output, CachedTokens: cached, ReasoningTokens: reasoning,
	}
}
