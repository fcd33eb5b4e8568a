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
	x    *exchange
	done completion
	err  error // of writing: the caller left
}

// streamChat answers token by token. All choices go side by side.
func (x *exchange) streamChat(done completion, withUsage bool) error {
	if err := x.wait(x.fate.first); err != nil {
		return err
	}
	x.w.Header().Set("Content-Type", "text/event-stream")
	x.w.Header().Set("Cache-Control", "no-store")
	out := &stream{x: x, done: done}
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
		out.tokens(position)
	}
	if strikes >= length { // an answer without tokens
		if err := out.strike(); err != nil {
			return err
		}
	}
	return out.finish(withUsage)
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
		o.write([]byte(`{"id":"` + o.done.id + `","choices":[{"index":0,"del`))
		return errActedOut
	case KindErrorInStream:
		x.end(x.fate.kind)
		o.writeJSON(errorObject("", "server_error", "simulated failure"))
		return errActedOut
	case KindStall:
		o.flush()
		x.end(x.fate.kind)
		return x.wait(orForEver(x.faults.StallFor))
	default:
		return nil
	}
}

// tokens writes the token at position of every choice that is that long.
func (o *stream) tokens(position int) {
	for i, choice := range o.done.choices {
		if position >= len(choice.tokens) {
			continue
		}
		delta := map[string]any{"content": choice.tokens[position]}
		if position == 0 {
			delta["role"], delta["refusal"] = "assistant", nil
		}
		o.chunk([]any{map[string]any{"index": i, "delta": delta, "logprobs": nil, "finish_reason": nil}}, nil)
	}
}

func (o *stream) finish(withUsage bool) error {
	for i, choice := range o.done.choices {
		o.chunk([]any{map[string]any{
			"index": i, "delta": map[string]any{}, "logprobs": nil, "finish_reason": choice.finish,
		}}, nil)
	}
	if withUsage {
		o.chunk([]any{}, o.done.usage)
	}
	if o.x.fate.kind == KindFiltered {
		o.x.end(o.x.fate.kind)
	}
	o.write([]byte("[DONE]"))
	o.flush()
	return o.err
}

func (o *stream) chunk(choices []any, usage map[string]any) {
	o.writeJSON(map[string]any{
		"id": o.done.id, "object": "chat.completion.chunk", "created": o.done.created, "model": o.done.model,
		"system_fingerprint": "fp_simulated", "choices": choices, "usage": usage,
	})
}

func (o *stream) writeJSON(value any) {
	data, err := json.Marshal(value)
	if err != nil {
		o.err = err
		return
	}
	o.write(data)
}

func (o *stream) write(data []byte) {
	if o.err != nil {
		return
	}
	_, o.err = io.WriteString(o.x.w, "data: "+string(data)+"\n\n")
}

func (o *stream) flush() {
	if o.err == nil {
		o.err = http.NewResponseController(o.x.w).Flush()
	}
}
