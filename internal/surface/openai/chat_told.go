package openai

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/penstock-dev/penstock/internal/surface"
)

// chunk is what is looked at in a piece of a chat completion.
type chunk struct {
	Choices []struct {
		Index        int     `json:"index"`
		Delta        delta   `json:"delta"`
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
}

type delta struct {
	// Content is a text; some servers have a list.
	Content   json.RawMessage `json:"content"`
	Refusal   string          `json:"refusal"`
	ToolCalls []callDelta     `json:"tool_calls"`
}

type callDelta struct {
	Index    int `json:"index"`
	Function struct {
		Arguments string `json:"arguments"`
	} `json:"function"`
}

// told is what a client has of a chat completion, by choice.
type told map[int]*toldChoice

type toldChoice struct {
	content, refusal strings.Builder
	// calls are the arguments of the tool calls, by index.
	calls    map[int]*strings.Builder
	finished bool
}

func (t told) empty() bool { return len(t) == 0 }

func (t told) add(piece chunk) {
	for _, choice := range piece.Choices {
		one := t[choice.Index]
		if one == nil {
			one = &toldChoice{calls: map[int]*strings.Builder{}}
			t[choice.Index] = one
		}
		one.content.WriteString(textOf(choice.Delta.Content))
		one.refusal.WriteString(choice.Delta.Refusal)
		for _, call := range choice.Delta.ToolCalls {
			if one.calls[call.Index] == nil {
				one.calls[call.Index] = &strings.Builder{}
			}
			one.calls[call.Index].WriteString(call.Function.Arguments)
		}
		one.finished = one.finished || choice.FinishReason != nil
	}
}

// completion is what is looked at in a whole chat completion.
type completion struct {
	ID      string          `json:"id"`
	Created int64           `json:"created"`
	Model   string          `json:"model"`
	Usage   json.RawMessage `json:"usage"`
	Choices []wholeChoice   `json:"choices"`
}

type wholeChoice struct {
	Index        int             `json:"index"`
	Message      json.RawMessage `json:"message"`
	FinishReason *string         `json:"finish_reason"`
}

// rest returns the chunks that are missing of a whole completion: pieces may have been
// lost, or there were none, for the provider does not stream. If it is not what was
// begun the error is errOtherAnswer.
func (t told) rest(result json.RawMessage) (chunks []json.RawMessage, err error) {
	var whole completion
	if err := json.Unmarshal(result, &whole); err != nil {
		return nil, err
	}
	for _, choice := range whole.Choices {
		missing, err := t[choice.Index].missing(choice.Message)
		if err != nil {
			return nil, err
		}
		finished := t[choice.Index] != nil && t[choice.Index].finished
		if len(missing) > 0 && !finished {
			chunks = append(chunks, whole.chunk(choice.Index, missing, nil))
		}
		if !finished {
			chunks = append(chunks, whole.chunk(choice.Index, object{}, choice.FinishReason))
		}
	}
	return chunks, nil
}

// missing returns what of a whole message was not told yet, as a delta. Of a choice
// that is nil nothing was.
func (c *toldChoice) missing(message json.RawMessage) (object, error) {
	whole, err := readObject(message)
	if err != nil {
		return nil, err
	}
	if c == nil {
		c = &toldChoice{}
	} else {
		whole = whole.without("role")
	}
	for _, part := range []struct {
		name string
		told *strings.Builder
	}{{"content", &c.content}, {"refusal", &c.refusal}} {
		if whole, err = cutText(whole, part.name, part.told.String()); err != nil {
			return nil, err
		}
	}
	return c.cutCalls(whole)
}

// cutText takes what was told off the beginning of a text.
func cutText(from object, name, told string) (object, error) {
	if told == "" {
		return from, nil
	}
	raw, _ := from.get(name)
	rest, ok := strings.CutPrefix(textOf(raw), told)
	if !ok {
		return nil, errOtherAnswer
	}
	if rest == "" {
		return from.without(name), nil
	}
	return from.set(name, quote(rest)), nil
}

// cutCalls does so with the arguments of tool calls, and numbers them as deltas are.
func (c *toldChoice) cutCalls(from object) (object, error) {
	raw, ok := from.get("tool_calls")
	if !ok {
		return from, nil
	}
	var calls, left []json.RawMessage
	if err := json.Unmarshal(raw, &calls); err != nil {
		return nil, err
	}
	for i, call := range calls {
		members, err := readObject(call)
		if err != nil {
			return nil, err
		}
		index := json.RawMessage(strconv.Itoa(i))
		if c.calls[i] == nil {
			left = append(left, append(object{{"index", index}}, members...).encode())
			continue
		}
		function, _ := members.get("function")
		called, err := readObject(function)
		if err != nil {
			return nil, err
		}
		if called, err = cutText(called, "arguments", c.calls[i].String()); err != nil {
			return nil, err
		}
		if _, more := called.get("arguments"); more {
			left = append(left, object{{"index", index}, {"function", called.without("name").encode()}}.encode())
		}
	}
	if len(left) == 0 {
		return from.without("tool_calls"), nil
	}
	all, err := surface.Marshal(left)
	return from.set("tool_calls", all), err
}

// textOf returns a JSON text, or nothing for what is none.
func textOf(raw json.RawMessage) (text string) {
	_ = json.Unmarshal(raw, &text)
	return text
}

// chunk says a piece as chunks of the completion are said.
func (c completion) chunk(index int, delta object, finish *string) json.RawMessage {
	choice := object{
		{"index", json.RawMessage(strconv.Itoa(index))},
		{"delta", delta.encode()},
		{"logprobs", json.RawMessage("null")},
		{"finish_reason", json.RawMessage("null")},
	}
	if finish != nil {
		choice = choice.set("finish_reason", quote(*finish))
	}
	return c.head("["+string(choice.encode())+"]", nil)
}

// usageChunk is the last chunk of a completion, if its usage was asked for.
func usageChunk(result json.RawMessage) json.RawMessage {
	var whole completion
	if json.Unmarshal(result, &whole) != nil || len(whole.Usage) == 0 {
		whole.Usage = json.RawMessage("null")
	}
	return whole.head("[]", whole.Usage)
}

func (c completion) head(choices string, usage json.RawMessage) json.RawMessage {
	o := object{
		{"id", quote(c.ID)},
		{"object", quote("chat.completion.chunk")},
		{"created", json.RawMessage(strconv.FormatInt(c.Created, 10))},
		{"model", quote(c.Model)},
		{"choices", json.RawMessage(choices)},
	}
	if usage != nil {
		o = append(o, member{"usage", usage})
	}
	return o.encode()
}
