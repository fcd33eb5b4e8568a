package openai

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// live tells the pieces of an answer as they arrive, as far as it is sure what the answer
// will be like: what is before its first message, and the text that this begins with. They
// are those of a provider's own Responses, or chunks of the chat completion that the
// request was translated to. A piece that has no place in the order of events is not
// told, and none after it: pieces are a preview of the answer.
type live struct {
	script *script
	// items is how many were told, message the last of them if that is one, and part the
	// text of it that was begun.
	items   int
	message *out
	part    *part
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
func (l *live) add(data json.RawMessage) {
	var native nativePiece
	var piece struct {
		ID string `json:"id"`
		chunk
	}
	switch {
	case l.over:
	case json.Unmarshal(data, &native) != nil:
		l.over = true
	case native.Type != "":
		l.over = !l.native(native)
	case json.Unmarshal(data, &piece) != nil:
		l.over = true
	default:
		l.over = !l.chunk(piece.ID, piece.chunk)
	}
}

// chunk tells the text of a chunk, which is what the answer begins with: what there is
// beside it comes after. ok is false when it cannot be told.
func (l *live) chunk(id string, piece chunk) (ok bool) {
	for _, choice := range piece.Choices {
		text := textOf(choice.Delta.Content)
		if choice.Index != 0 || text == "" {
			continue
		}
		if l.part == nil && l.message != nil {
			return false
		}
		if l.part == nil {
			l.begin(object{
				{"id", quote("msg_" + id)},
				{"type", quote("message")},
				{"status", quote(responseInProgress)},
				{"role", quote("assistant")},
				{"content", json.RawMessage("[]")},
			})
			l.part = l.message.begin(0, object{
				{"type", quote("output_text")}, {"text", quote("")}, {"annotations", json.RawMessage("[]")}, {"logprobs", json.RawMessage("[]")},
			})
		}
		if !l.say(text) {
			return false
		}
	}
	return true
}

// begin begins the first message.
func (l *live) begin(raw object) {
	l.message = new(l.script.add(l.items, raw))
	l.items++
}

// say tells more of the text. Half a character, as some servers cut an answer (RFC 8259,
// section 7), is not to be told alone.
func (l *live) say(text string) (ok bool) {
	if strings.ContainsRune(text, utf8.RuneError) {
		return false
	}
	l.part.say(text)
	return true
}

// native tells what a provider's event says. Items that are no messages are told as they
// are done, and what follows the text of the first message with the whole answer.
func (l *live) native(e nativePiece) (ok bool) {
	switch e.Type {
	case "response.output_item.added", "response.output_item.done":
		return l.nativeItem(e)
	case "response.content_part.added":
		return l.nativePart(e)
	case "response.output_text.delta":
		return l.part != nil && l.message.index == e.OutputIndex && l.part.index == e.ContentIndex && l.say(textOf(e.Delta))
	default:
		return true
	}
}

func (l *live) nativeItem(e nativePiece) (ok bool) {
	raw, err := readObject(e.Item)
	if err != nil || l.message != nil {
		return false
	}
	isMessage, done := kindOf(raw) == "message", e.Type == "response.output_item.done"
	switch {
	case !isMessage && !done:
		return true // it is told once it is done
	case isMessage && done, e.OutputIndex != l.items:
		return false
	case isMessage:
		l.begin(raw)
		return true
	default:
		l.items++
		return l.script.item(e.OutputIndex, raw) == nil
	}
}

func (l *live) nativePart(e nativePiece) (ok bool) {
	raw, err := readObject(e.Part)
	if err != nil || l.message == nil || l.message.index != e.OutputIndex || l.part != nil ||
		kindOf(raw) != "output_text" || e.ContentIndex != 0 {
		return false
	}
	l.part = l.message.begin(0, raw)
	return true
}
