package simulated

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"
)

// errActedOut ends an answer whose fault was shown.
var errActedOut = errors.New("fault acted out")

// stream writes server-sent events.
type stream struct {
	x      *exchange
	done   completion
	script script
	err    error // of writing: the caller left
}

// script is how a wire format tells an answer piece by piece.
type script interface {
	// begin comes ahead of the first token, finish behind the last, with the
	// terminal event.
	begin(o *stream)
	// tokens writes the token at position of every choice that is that long.
	tokens(o *stream, position int)
	finish(o *stream)
	// broken writes an event that is not JSON, failed an error.
	broken(o *stream)
	failed(o *stream)
}

// stream answers token by token. All choices go side by side.
func (x *exchange) stream(done completion, script script) error {
	if err := x.wait(x.fate.first); err != nil {
		return err
	}
	x.w.Header().Set("Content-Type", "text/event-stream")
	x.w.Header().Set("Cache-Control", "no-store")
	out := &stream{x: x, done: done, script: script}
	script.begin(out)
	length := done.longest()
	strikes := int(x.fate.where * float64(length))
	for position := range length {
		if position > 0 {
			if err := out.pause(); err != nil {
				return err
			}
		}
		if position == strikes {
			if err := out.strike(); err != nil {
				return err
			}
		}
		script.tokens(out, position)
	}
	if strikes >= length { // an answer without tokens
		if err := out.strike(); err != nil {
			return err
		}
	}
	if x.fate.kind == KindFiltered {
		x.end(x.fate.kind)
	}
	script.finish(out)
	out.flush()
	return out.err
}

// pause waits for the next token. Without a time between tokens nothing is
// flushed either, as a server that fast would not.
func (o *stream) pause() error {
	if o.x.faults.PerToken == 0 {
		return o.err
	}
	o.flush()
	if err := o.x.wait(time.Duration(o.x.faults.PerToken)); err != nil {
		return err
	}
	return o.err
}

// strike acts out the fault that comes in the middle, if this call has one.
func (o *stream) strike() error {
	x := o.x
	switch x.fate.kind {
	case KindTruncated:
		x.end(x.fate.kind)
		o.flush()
		panic(http.ErrAbortHandler)
	case KindNoDone:
		x.end(x.fate.kind)
		return errActedOut
	case KindMalformed:
		x.end(x.fate.kind)
		o.script.broken(o)
		return errActedOut
	case KindErrorInStream:
		x.end(x.fate.kind)
		o.script.failed(o)
		return errActedOut
	case KindStall:
		o.flush()
		x.end(x.fate.kind)
		return x.wait(orForEver(x.faults.StallFor))
	default:
		return nil
	}
}

func (o *stream) writeJSON(name string, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		o.err = err
		return
	}
	o.write(name, data)
}

// write writes one event, with a name unless that is empty.
func (o *stream) write(name string, data []byte) {
	if o.err != nil {
		return
	}
	event := "data: " + string(data) + "\n\n"
	if name != "" {
		event = "event: " + name + "\n" + event
	}
	_, o.err = io.WriteString(o.x.w, event)
}

func (o *stream) flush() {
	if o.err == nil {
		o.err = http.NewResponseController(o.x.w).Flush()
	}
}

// chatScript streams as chat completions do.
type chatScript struct{ usage bool }

func (chatScript) begin(*stream) {}

func (s chatScript) tokens(o *stream, position int) {
	for i, choice := range o.done.choices {
		if position >= len(choice.tokens) {
			continue
		}
		delta := map[string]any{"content": choice.tokens[position]}
		if position == 0 {
			delta["role"], delta["refusal"] = "assistant", nil
		}
		s.chunk(o, []any{map[string]any{"index": i, "delta": delta, "logprobs": nil, "finish_reason": nil}}, nil)
	}
}

func (s chatScript) finish(o *stream) {
	for i, choice := range o.done.choices {
		s.chunk(o, []any{map[string]any{
			"index": i, "delta": map[string]any{}, "logprobs": nil, "finish_reason": choice.finish,
		}}, nil)
	}
	if s.usage {
		s.chunk(o, []any{}, o.done.usage())
	}
	o.write("", []byte("[DONE]"))
}

func (chatScript) broken(o *stream) {
	o.write("", []byte(`{"id":"chatcmpl-`+o.done.id+`","choices":[{"index":0,"del`))
}

func (chatScript) failed(o *stream) {
	o.writeJSON("", o.x.words.body(o.x.words.failed, "simulated failure"))
}

func (chatScript) chunk(o *stream, choices []any, usage map[string]any) {
	o.writeJSON("", map[string]any{
		"id": "chatcmpl-" + o.done.id, "object": "chat.completion.chunk", "created": o.done.created, "model": o.done.model,
		"system_fingerprint": "fp_simulated", "choices": choices, "usage": usage,
	})
}
