package openai

import (
	"bufio"
	"encoding/json"
	"io"

	"github.com/penstock-dev/penstock/providers"
)

// readWhole reads an answer that is one JSON object.
func readWhole(in *bufio.Reader, req providers.Request, clocks *clocks) (answer, error) {
	body, err := io.ReadAll(&pieceReader{in, clocks})
	if err != nil {
		return answer{}, err
	}
	reply, err := readObject(body)
	if err != nil {
		return answer{}, &providers.Error{Class: providers.Malformed, Message: "the body is not a JSON object"}
	}
	if reportsError(reply) {
		return answer{usage: usageOf(reply)}, reportedError(reply, body)
	}
	got := answer{model: text(reply["model"]), usage: usageOf(reply)}
	if req.Endpoint == providers.Embeddings {
		err = checkEmbeddings(reply, req.Body)
	} else {
		err = got.readChoices(reply)
	}
	if err == nil {
		got.body = validUTF8(body)
	}
	return got, err
}

// pieceReader tells the clocks of each read.
type pieceReader struct {
	in     io.Reader
	clocks *clocks
}

func (r *pieceReader) Read(into []byte) (int, error) {
	n, err := r.in.Read(into)
	if n > 0 {
		r.clocks.piece(true)
	}
	return n, err
}

func (got *answer) readChoices(reply object) error {
	var choices []struct {
		Message      object          `json:"message"`
		FinishReason json.RawMessage `json:"finish_reason"`
	}
	if raw := reply["choices"]; !isNull(raw) && json.Unmarshal(raw, &choices) != nil {
		return &providers.Error{Class: providers.Malformed, Message: "the answer's choices have an unknown shape"}
	}
	finishes := make([]string, 0, len(choices))
	for _, c := range choices {
		finishes = append(finishes, text(c.FinishReason))
	}
	if len(choices) > 0 {
		got.finish = finishes[0]
		got.partial = text(choices[0].Message["content"])
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
func checkEmbeddings(reply object, request json.RawMessage) error {
	var vectors []struct {
		Embedding json.RawMessage `json:"embedding"`
	}
	if raw := reply["data"]; isNull(raw) || json.Unmarshal(raw, &vectors) != nil {
		return &providers.Error{Class: providers.Malformed, Message: "the answer has no list of embeddings"}
	}
	for _, v := range vectors {
		if isEmpty(v.Embedding) {
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
