package simulated

import (
	"encoding/json"
	"strings"
	"time"
)

// messagesRequest is what of a request to Messages shapes the simulated answer.
type messagesRequest struct {
	Model     string            `json:"model"`
	MaxTokens *int              `json:"max_tokens"`
	System    json.RawMessage   `json:"system"`
	Messages  []json.RawMessage `json:"messages"`
	Stream    bool              `json:"stream"`
}

func (x *exchange) readMessages() (messagesRequest, error) {
	var req messagesRequest
	if err := json.Unmarshal(x.body, &req); err != nil {
		return req, x.wrong("the body is not a JSON object of the expected shape")
	}
	switch {
	case x.header.Get("Anthropic-Version") == "":
		return req, x.wrong("anthropic-version: header is required")
	case req.Model == "":
		return req, x.wrong("model: Field required")
	case req.MaxTokens == nil:
		return req, x.wrong("max_tokens: Field required")
	case *req.MaxTokens < 1:
		return req, x.wrong("max_tokens: Input should be greater than or equal to 1")
	case len(req.Messages) == 0:
		return req, x.wrong("messages: at least one message is required")
	}
	return req, nil
}

// prompt is all that was said, the system prompt first.
func (r messagesRequest) prompt() []json.RawMessage {
	if r.System == nil {
		return r.Messages
	}
	return append([]json.RawMessage{r.System}, r.Messages...)
}

func (s *Server) messages(x *exchange) error {
	req, err := x.readMessages()
	if err != nil {
		return err
	}
	done := s.compose(x, chatRequest{Model: req.Model, Messages: req.prompt(), MaxTokens: req.MaxTokens})
	if req.Stream {
		return x.stream(done, messagesScript{})
	}
	return x.whole(done, done.message())
}

// stopReasons are finish reasons in the words of Messages.
var stopReasons = map[string]string{"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}

// message is the answer as Messages has it.
func (c completion) message() map[string]any {
	said := strings.Join(c.choices[0].tokens, "")
	return map[string]any{
		"id": "msg_" + c.id, "type": "message", "role": "assistant", "model": c.model,
		"content":     []any{map[string]any{"type": "text", "text": said}},
		"stop_reason": stopReasons[c.choices[0].finish], "stop_sequence": nil,
		"usage": c.messageUsage(c.output),
	}
}

func (c completion) messageUsage(output int) map[string]any {
	return map[string]any{
		"input_tokens": c.input, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": output,
	}
}

// messagesScript streams as Messages does.
type messagesScript struct{}

func (messagesScript) begin(o *stream) {
	start := o.done.message()
	start["content"], start["stop_reason"], start["usage"] = []any{}, nil, o.done.messageUsage(1)
	o.named("message_start", map[string]any{"message": start})
	o.named("content_block_start", map[string]any{"index": 0, "content_block": map[string]any{"type": "text", "text": ""}})
	o.named("ping", map[string]any{})
}

func (messagesScript) tokens(o *stream, position int) {
	o.named("content_block_delta", map[string]any{
		"index": 0, "delta": map[string]any{"type": "text_delta", "text": o.done.choices[0].tokens[position]},
	})
}

func (messagesScript) finish(o *stream) {
	o.named("content_block_stop", map[string]any{"index": 0})
	o.named("message_delta", map[string]any{
		"delta": map[string]any{"stop_reason": stopReasons[o.done.choices[0].finish], "stop_sequence": nil},
		"usage": map[string]any{"output_tokens": o.done.output},
	})
	o.named("message_stop", map[string]any{})
}

func (messagesScript) broken(o *stream) {
	o.write("content_block_delta", []byte(`{"type":"content_block_delta","index":0,"del`))
}

func (messagesScript) failed(o *stream) {
	o.writeJSON("error", o.x.words.body(o.x.words.failed, "simulated failure"))
}

// named writes an event of that type.
func (o *stream) named(kind string, members map[string]any) {
	members["type"] = kind
	o.writeJSON(kind, members)
}

// whole answers at once with all of it, after the time a stream would take.
func (x *exchange) whole(done completion, body map[string]any) error {
	total := x.fate.first + time.Duration(done.longest())*time.Duration(x.faults.PerToken)
	if x.fate.kind == KindStall {
		total += orForEver(x.faults.StallFor)
	}
	if err := x.wait(total); err != nil {
		return err
	}
	x.writeWhole(body)
	return nil
}
