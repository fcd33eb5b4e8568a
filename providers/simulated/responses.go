package simulated

import (
	"encoding/json"
	"strings"
)

// responsesRequest is what of a request to Responses shapes the simulated answer.
type responsesRequest struct {
	Model           string          `json:"model"`
	Instructions    json.RawMessage `json:"instructions"`
	Input           json.RawMessage `json:"input"`
	MaxOutputTokens *int            `json:"max_output_tokens"`
	Stream          bool            `json:"stream"`
}

func (x *exchange) readResponses() (responsesRequest, error) {
	var req responsesRequest
	if err := json.Unmarshal(x.body, &req); err != nil {
		return req, x.wrong("the body is not a JSON object of the expected shape")
	}
	switch {
	case req.Model == "":
		return req, x.wrong("you must provide a model parameter")
	case len(req.prompt()) == 0:
		return req, x.wrong("input must not be empty")
	case req.MaxOutputTokens != nil && *req.MaxOutputTokens < 1:
		return req, x.wrong("max_output_tokens must be at least 1")
	}
	return req, nil
}

// prompt is all that was said, the instructions first.
func (r responsesRequest) prompt() []json.RawMessage {
	var items []json.RawMessage
	if json.Unmarshal(r.Input, &items) != nil && len(r.Input) > len(`""`) {
		items = []json.RawMessage{r.Input}
	}
	if len(items) > 0 && r.Instructions != nil {
		return append([]json.RawMessage{r.Instructions}, items...)
	}
	return items
}

func (s *Server) responses(x *exchange) error {
	req, err := x.readResponses()
	if err != nil {
		return err
	}
	done := s.compose(x, chatRequest{Model: req.Model, Messages: req.prompt(), MaxTokens: req.MaxOutputTokens})
	if req.Stream {
		return x.stream(done, &responsesScript{})
	}
	return x.whole(done, done.response())
}

// responseStatus is how the answer ended in the words of Responses, and why if it
// was early.
func (c completion) responseStatus() (status string, details any) {
	switch c.choices[0].finish {
	case "length":
		return "incomplete", map[string]any{"reason": "max_output_tokens"}
	case "content_filter":
		return "incomplete", map[string]any{"reason": "content_filter"}
	default:
		return "completed", nil
	}
}

// response is the answer as Responses has it.
func (c completion) response() map[string]any {
	whole := c.responseHead()
	status, details := c.responseStatus()
	whole["status"], whole["incomplete_details"] = status, details
	whole["output"] = []any{c.outputMessage(status)}
	whole["usage"] = map[string]any{
		"input_tokens": c.input, "output_tokens": c.output, "total_tokens": c.input + c.output,
		"input_tokens_details":  map[string]any{"cached_tokens": 0},
		"output_tokens_details": map[string]any{"reasoning_tokens": 0},
	}
	return whole
}

// responseHead is a response that has only begun.
func (c completion) responseHead() map[string]any {
	return map[string]any{
		"id": "resp_" + c.id, "object": "response", "created_at": c.created, "model": c.model,
		"status": "in_progress", "error": nil, "incomplete_details": nil, "instructions": nil, "metadata": map[string]any{},
		"output": []any{}, "parallel_tool_calls": true, "tool_choice": "auto", "tools": []any{},
		"temperature": 1, "top_p": 1, "usage": nil,
	}
}

func (c completion) outputMessage(status string) map[string]any {
	return map[string]any{
		"id": "msg_" + c.id, "type": "message", "role": "assistant", "status": status,
		"content": []any{c.outputText(strings.Join(c.choices[0].tokens, ""))},
	}
}

func (completion) outputText(said string) map[string]any {
	return map[string]any{"type": "output_text", "text": said, "annotations": []any{}, "logprobs": []any{}}
}

// responsesScript streams as Responses does: each event is numbered.
type responsesScript struct{ events int }

func (s *responsesScript) begin(o *stream) {
	s.named(o, "response.created", map[string]any{"response": o.done.responseHead()})
	s.named(o, "response.in_progress", map[string]any{"response": o.done.responseHead()})
	item := o.done.outputMessage("in_progress")
	item["content"] = []any{}
	s.named(o, "response.output_item.added", map[string]any{"output_index": 0, "item": item})
	s.part(o, "response.content_part.added", map[string]any{"part": o.done.outputText("")})
}

func (s *responsesScript) tokens(o *stream, position int) {
	s.part(o, "response.output_text.delta", map[string]any{
		"delta": o.done.choices[0].tokens[position], "logprobs": []any{},
	})
}

func (s *responsesScript) finish(o *stream) {
	status, _ := o.done.responseStatus()
	said := strings.Join(o.done.choices[0].tokens, "")
	s.part(o, "response.output_text.done", map[string]any{"text": said, "logprobs": []any{}})
	s.part(o, "response.content_part.done", map[string]any{"part": o.done.outputText(said)})
	s.named(o, "response.output_item.done", map[string]any{"output_index": 0, "item": o.done.outputMessage(status)})
	s.named(o, "response."+status, map[string]any{"response": o.done.response()})
}

func (*responsesScript) broken(o *stream) {
	o.write("response.output_text.delta", []byte(`{"type":"response.output_text.delta","item_id":"msg_`+o.done.id+`","del`))
}

func (s *responsesScript) failed(o *stream) {
	failed := o.done.responseHead()
	failed["status"], failed["error"] = "failed", map[string]any{"code": "server_error", "message": "simulated failure"}
	s.named(o, "response.failed", map[string]any{"response": failed})
}

// part writes an event about the answer's one piece of content.
func (s *responsesScript) part(o *stream, kind string, members map[string]any) {
	members["item_id"], members["output_index"], members["content_index"] = "msg_"+o.done.id, 0, 0
	s.named(o, kind, members)
}

func (s *responsesScript) named(o *stream, kind string, members map[string]any) {
	members["sequence_number"] = s.events
	s.events++
	o.named(kind, members)
}
