package openai

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// readWhole reads an answer to req that is one JSON object.
func readWhole(req providers.Request, body []byte) (transport.Answer, error) {
	reply, err := chat.ReadObject(body)
	if err != nil {
		return transport.Answer{}, &providers.Error{Class: providers.Malformed, Message: "the body is not a JSON object"}
	}
	usage := usageOf(reply["usage"], reply["x_groq"])
	if reportsError(reply) {
		return transport.Answer{Usage: usage}, reportedError(reply, body)
	}
	got := transport.Answer{
		Model: chat.Text(reply["model"]), Fingerprint: chat.Text(reply["system_fingerprint"]), Usage: usage,
	}
	if req.Endpoint == providers.Embeddings {
		err = checkEmbeddings(reply, req.Body)
	} else {
		err = readChoices(reply, &got)
	}
	if err == nil {
		got.Body = chat.ValidUTF8(body)
	}
	return got, err
}

// readChoices fills got from the choices and judges them.
func readChoices(reply chat.Object, got *transport.Answer) error {
	var choices []struct {
		Message      chat.Object     `json:"message"`
		FinishReason json.RawMessage `json:"finish_reason"`
	}
	if raw := reply["choices"]; !chat.IsNull(raw) && json.Unmarshal(raw, &choices) != nil {
		return &providers.Error{Class: providers.Malformed, Message: "the answer's choices have an unknown shape"}
	}
	finishes := make([]string, 0, len(choices))
	for _, c := range choices {
		finishes = append(finishes, chat.Text(c.FinishReason))
	}
	if len(choices) > 0 {
		got.Finish = finishes[0]
		got.Partial = chat.Text(choices[0].Message["content"])
	}
	if err := checkFinishes(finishes); err != nil {
		return err
	}
	for _, c := range choices {
		if c.Message == nil {
			return &providers.Error{Class: providers.Malformed, Message: "a choice has no message"}
		}
	}
	return nil
}

// checkEmbeddings wants a vector for each input: fewer are a part of an answer.
func checkEmbeddings(reply chat.Object, request json.RawMessage) error {
	var vectors []struct {
		Embedding json.RawMessage `json:"embedding"`
	}
	if raw := reply["data"]; chat.IsNull(raw) || json.Unmarshal(raw, &vectors) != nil {
		return &providers.Error{Class: providers.Malformed, Message: "the answer has no list of embeddings"}
	}
	for _, v := range vectors {
		if chat.IsEmpty(v.Embedding) {
			return &providers.Error{Class: providers.Malformed, Message: "an embedding is empty"}
		}
	}
	if len(vectors) < inputs(request) {
		return &providers.Error{Class: providers.Truncated, Message: "the answer has too few embeddings"}
	}
	return nil
}

// inputs counts the texts of an embeddings request: its input is one text, a
// list of texts, one list of tokens, or a list of such lists.
func inputs(request json.RawMessage) int {
	var body struct {
		Input json.RawMessage `json:"input"`
	}
	var list []json.RawMessage
	if json.Unmarshal(request, &body) != nil || json.Unmarshal(body.Input, &list) != nil || len(list) == 0 {
		return 1
	}
	if list[0][0] == '"' || list[0][0] == '[' {
		return len(list)
	}
	return 1
}
