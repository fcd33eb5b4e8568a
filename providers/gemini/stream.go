package gemini

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// readStream reads a streamed answer of that many choices to its end. What
// arrived is in the answer even when there is an error, which is an
// *providers.Error or what reading failed with.
func readStream(events *transport.Events, tell transport.Tell, choices int) (transport.Answer, error) {
	c := newCompletion(tell, choices)
	for {
		e, err := events.Next()
		switch {
		case errors.Is(err, io.EOF):
			return c.answer(c.end())
		case err != nil:
			return c.answer(err)
		case len(bytes.TrimSpace(e.Data)) == 0:
		case e.Name == "error":
			return c.answer(reportedError(e.Data))
		default:
			if err := c.add(e.Data); err != nil {
				return c.answer(err)
			}
		}
	}
}

// readWhole reads an answer that is one JSON body: an object, or the array of
// them that a server streams which does not speak server-sent events.
func readWhole(body []byte, choices int) (transport.Answer, error) {
	c := newCompletion(func(json.RawMessage, bool) {}, choices)
	pieces := []json.RawMessage{body}
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '[' {
		if json.Unmarshal(trimmed, &pieces) != nil {
			return transport.Answer{}, errNoObject
		}
	}
	for _, piece := range pieces {
		if trimmed := bytes.TrimSpace(piece); len(trimmed) == 0 || trimmed[0] != '{' {
			return c.answer(errNoObject)
		}
		if err := c.add(piece); err != nil {
			return c.answer(err)
		}
	}
	if !c.choices[0].begun {
		return c.answer(&providers.Error{Class: providers.Malformed, Message: "the answer has no candidates"})
	}
	return c.answer(c.end())
}

var errNoObject = &providers.Error{Class: providers.Malformed, Message: "the body is not a JSON object"}
