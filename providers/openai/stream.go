package openai

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/penstock-dev/penstock/providers"
)

// listener is told of a stream's chunks as they come.
type listener interface {
	// chunk gets each chunk object; substance says whether it carries
	// something of the answer.
	chunk(data json.RawMessage, substance bool)
}

// doneEvent is the data of the format's terminal event.
var doneEvent = []byte("[DONE]")

// readStream reads a streamed chat completion to its terminal event and puts
// it together. What arrived is in the assembly even when there is an error,
// which is an *providers.Error or what reading in failed with.
func readStream(in *bufio.Reader, config Config, to listener) (*assembly, error) {
	events := &eventReader{in: in, limit: config.MaxEventBytes}
	answer := newAssembly()
	for {
		e, err := events.next()
		if bytes.Equal(bytes.TrimSpace(e.data), doneEvent) {
			return answer, answer.check()
		}
		switch {
		case errors.Is(err, errEventTooLong):
			return answer, &providers.Error{Class: providers.Malformed, Message: "an event of the stream is too long"}
		case errors.Is(err, io.EOF):
			return answer, streamEnded(answer, config)
		case err != nil:
			return answer, err
		}
		if err := readEvent(e, answer, to); err != nil {
			return answer, err
		}
	}
}

// streamEnded judges a stream that ended cleanly but without terminal event.
func streamEnded(answer *assembly, config Config) error {
	if config.NoDoneEvent {
		return answer.check()
	}
	return &providers.Error{Class: providers.Truncated, Message: "the stream ended without its terminal event"}
}

func readEvent(e event, answer *assembly, to listener) error {
	if len(bytes.TrimSpace(e.data)) == 0 {
		return nil
	}
	chunk, err := readObject(e.data)
	if err != nil && e.name == "error" {
		return reportedError(nil, e.data)
	}
	if err != nil {
		return &providers.Error{Class: providers.Malformed, Message: "a chunk of the stream is not a JSON object"}
	}
	if e.name == "error" || reportsError(chunk) {
		return reportedError(chunk, e.data)
	}
	substance, err := answer.add(chunk)
	if err != nil {
		return err
	}
	to.chunk(e.data, substance)
	return nil
}

// object is a JSON object taken apart one level.
type object map[string]json.RawMessage

// readObject refuses what is not an object, null too.
func readObject(data []byte) (object, error) {
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, errors.New("null is not an object")
	}
	return o, nil
}

// isNull says whether raw is absent or null.
func isNull(raw json.RawMessage) bool { return len(raw) == 0 || raw[0] == 'n' }

// isEmpty says whether raw is absent, null, or an empty string, array or object.
func isEmpty(raw json.RawMessage) bool {
	return isNull(raw) || string(raw) == `""` || string(raw) == "[]" || string(raw) == "{}"
}

// text is raw as a string, or "" when it is anything else.
func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
