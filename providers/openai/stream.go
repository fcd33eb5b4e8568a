package openai

import (
	"bytes"
	"errors"
	"io"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// doneEvent is the data of the format's terminal event.
var doneEvent = []byte("[DONE]")

// streamed reads a streamed chat completion.
func (p *Provider) streamed(events *transport.Events, tell transport.Tell) (transport.Answer, error) {
	assembled, err := readStream(events, p.config.NoDoneEvent, tell)
	got := transport.Answer{
		Model:       chat.Text(assembled.Top("model")),
		Fingerprint: chat.Text(assembled.Top("system_fingerprint")),
		Usage:       usageOf(assembled.Top("usage"), assembled.Top("x_groq")),
		Partial:     assembled.Partial(),
	}
	if finishes := assembled.Finishes(); len(finishes) > 0 {
		got.Finish = finishes[0]
	}
	if err == nil {
		got.Body = assembled.Body()
	}
	return got, err
}

// readStream reads a streamed chat completion to its terminal event and puts
// it together. What arrived is in the assembly even when there is an error,
// which is an *providers.Error or what reading failed with.
func readStream(events *transport.Events, noDone bool, tell transport.Tell) (*chat.Assembly, error) {
	answer := chat.NewAssembly()
	for {
		e, err := events.Next()
		if bytes.Equal(bytes.TrimSpace(e.Data), doneEvent) {
			return answer, checkFinishes(answer.Finishes())
		}
		switch {
		case errors.Is(err, io.EOF) && noDone:
			return answer, checkFinishes(answer.Finishes())
		case errors.Is(err, io.EOF):
			return answer, transport.ErrNoTerminalEvent
		case err != nil:
			return answer, err
		}
		if err := readEvent(e, answer, tell); err != nil {
			return answer, err
		}
	}
}

func readEvent(e transport.Event, answer *chat.Assembly, tell transport.Tell) error {
	if len(bytes.TrimSpace(e.Data)) == 0 {
		return nil
	}
	chunk, err := chat.ReadObject(e.Data)
	if err != nil && e.Name == "error" {
		return reportedError(nil, e.Data)
	}
	if err != nil {
		return &providers.Error{Class: providers.Malformed, Message: "a chunk of the stream is not a JSON object"}
	}
	if e.Name == "error" || reportsError(chunk) {
		return reportedError(chunk, e.Data)
	}
	substance, err := answer.Add(chunk)
	if err != nil {
		return err
	}
	tell(e.Data, substance)
	return nil
}
