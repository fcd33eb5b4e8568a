package openai

import (
	"encoding/json"
)

// live tells the pieces of an answer as they arrive, as far as it is sure what the answer
// will be like: the text of its first message. They are those of a provider's own
// Responses, or chunks of the chat completion that the request was translated to.
type live struct {
	script *script
	part   *part
	item   out
	// over says that no more can be told before the whole answer is there.
	over bool
}

// nativePiece is what is looked at in an event of a provider.
type nativePiece struct {
	Type         string          `json:"type"`
	OutputIndex  int             `json:"output_index"`
	ContentIndex int             `json:"content_index"`
	Item         json.RawMessage `json:"item"`
	Part         json.RawMessage `json:"part"`
	Delta        json.RawMessage `json:"delta"`
}

// add takes the next piece.
func (l *live) add(data json.RawMessage) error {
	if l.over {
		return nil
	}
	var native nativePiece
	if err := json.Unmarshal(data, &native); err != nil {
		return err
	}
	if native.Type != "" {
		return l.native(native)
	}
	var piece struct {
		ID string `json:"id"`
		chunk
	}
	if err := json.Unmarshal(data, &piece); err != nil {
		return err
	}
	l.chunk(piece.ID, piece.chunk)
	return nil
}

// chunk tells the text of a chunk. Whatever else there is may come in another order in
// the answer.
func (l *live) chunk(id string, piece chunk) {
	for _, choice := range piece.Choices {
		if choice.Index != 0 {
			continue
		}
		if len(choice.Delta.ToolCalls) > 0 || choice.Delta.Refusal != "" {
			l.over = true
			return
		}
		text := textOf(choice.Delta.Content)
		if text == "" {
			continue
		}
		if l.part == nil {
			l.item = l.script.add(0, object{
				{"id", quote("msg_" + id)},
				{"type", quote("message")},
				{"status", quote(responseInProgress)},
				{"role", quote("assistant")},
				{"content", json.RawMessage("[]")},
			})
			l.part = l.item.begin(0, object{
				{"type", quote("output_text")}, {"text", quote("")}, {"annotations", json.RawMessage("[]")}, {"logprobs", json.RawMessage("[]")},
			})
		}
		l.part.say(text)
	}
}

// native tells what a provider's event says. Items that are no messages are told as they
// are done, and what follows the first message with the whole answer.
func (l *live) native(e nativePiece) error {
	switch e.Type {
	case "response.output_item.added", "response.output_item.done":
		return l.nativeItem(e)
	case "response.content_part.added":
		return l.nativePart(e)
	case "response.output_text.delta":
		if l.part == nil || l.part.member != "text" || l.item.index != e.OutputIndex || l.part.index != e.ContentIndex {
			l.over = true
			return nil
		}
		l.part.say(textOf(e.Delta))
	}
	return nil
}

func (l *live) nativeItem(e nativePiece) error {
	raw, err := readObject(e.Item)
	if err != nil {
		return err
	}
	switch done := e.Type == "response.output_item.done"; {
	case kindOf(raw) == "message" && !done:
		l.item = l.script.add(e.OutputIndex, raw)
	case kindOf(raw) == "message":
		l.over = true
	case kindOf(raw) == "function_call":
		l.over = true
	case done:
		return l.script.item(e.OutputIndex, raw)
	}
	return nil
}

func (l *live) nativePart(e nativePiece) error {
	raw, err := readObject(e.Part)
	if err != nil {
		return err
	}
	if l.part != nil || kindOf(raw) != "output_text" || e.ContentIndex != 0 {
		l.over = true
		return nil
	}
	l.part = l.item.begin(0, raw)
	return nil
}
