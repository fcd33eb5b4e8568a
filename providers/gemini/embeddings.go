package gemini

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// embeddingRequest is a request to batchEmbedContents.
type embeddingRequest struct {
	Requests []embedContent `json:"requests"`

	model  string // said in the path and in each of Requests
	base64 bool   // how the vectors of the answer are written
}

// embedContent asks for the vector of one text.
type embedContent struct {
	Model      string  `json:"model"`
	Content    content `json:"content"`
	Dimensions int64   `json:"outputDimensionality,omitempty"`
}

// maxInputs is how many texts Gemini takes at once.
const maxInputs = 100

// translateEmbeddings says a request for embeddings in the words of Gemini. Every
// error is an *providers.UnsupportedError.
func translateEmbeddings(body json.RawMessage) (*embeddingRequest, error) {
	whole := field.Of(body, formatName)
	members, err := whole.Object("model", "input", "dimensions", "encoding_format")
	if err != nil {
		return nil, err
	}
	r := &embeddingRequest{}
	if model, ok := members["model"]; ok {
		if r.model, err = model.Text(); err != nil {
			return nil, err
		}
	}
	if format, ok := members["encoding_format"]; ok {
		if r.base64, err = readEncoding(format); err != nil {
			return nil, err
		}
	}
	input, ok := members["input"]
	if !ok {
		return nil, whole.Child("input", nil).Refuse("is required")
	}
	if err := r.readInput(input); err != nil {
		return nil, err
	}
	return r, r.readDimensions(members["dimensions"])
}

// readInput reads a text, or a list of them.
func (r *embeddingRequest) readInput(v field.Value) error {
	texts, err := v.OneOrMore()
	if err != nil {
		return v.Refuse("must be a text or a list of texts in %s", v.Format)
	}
	if len(texts) == 0 || len(texts) > maxInputs {
		return v.Refuse("must be 1 to %d texts in %s", maxInputs, v.Format)
	}
	for _, t := range texts {
		if !t.IsText() {
			return t.Refuse("must be a text: %s takes no tokens", v.Format)
		}
		text, err := t.Text()
		if err != nil {
			return err
		}
		if text == "" {
			return t.Refuse("must not be empty in %s", v.Format)
		}
		r.Requests = append(r.Requests, embedContent{Content: content{Parts: []part{{Text: text}}}})
	}
	return nil
}

func (r *embeddingRequest) readDimensions(v field.Value) error {
	if v.Raw == nil {
		return nil
	}
	n, err := whole(v, 1, math.MaxInt32)
	for i := range r.Requests {
		r.Requests[i].Dimensions = n
	}
	return err
}

func readEncoding(v field.Value) (isBase64 bool, err error) {
	format, err := v.Text()
	if err == nil && format != "float" && format != "base64" {
		err = v.Refuse("must be float or base64")
	}
	return format == "base64", err
}

// embedding is req, for embeddings, in the words of Gemini.
func embedding(req providers.Request) (*transport.Exchange, error) {
	asked, err := translateEmbeddings(req.Body)
	if err != nil {
		return nil, err
	}
	model := transport.OrDefault(req.Model, asked.model)
	for i := range asked.Requests {
		asked.Requests[i].Model = resourceName(model)
	}
	exchange, err := newExchange(req, model, "batchEmbedContents", asked)
	if err != nil {
		return nil, err
	}
	exchange.Whole = func(body []byte) (transport.Answer, error) { return asked.readAnswer(model, body) }
	return exchange, nil
}

// embeddings is an answer as OpenAI has it.
type embeddings struct {
	Object string          `json:"object"`
	Model  string          `json:"model"`
	Data   []vector        `json:"data"`
	Usage  *embeddingUsage `json:"usage"`
}

type vector struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"`
}

type embeddingUsage struct {
	PromptTokens int64 `json:"prompt_tokens"`
	TotalTokens  int64 `json:"total_tokens"`
}

// readAnswer reads the vectors, of which there has to be one for each text. Which
// model made them is not told: model is the one that was asked for.
func (r *embeddingRequest) readAnswer(model string, body []byte) (transport.Answer, error) {
	reply, err := chat.ReadObject(body)
	if err != nil {
		return transport.Answer{}, errNoObject
	}
	if !chat.IsEmpty(reply["error"]) {
		return transport.Answer{}, reportedError(body)
	}
	var counted usage
	counted.Add(reply["usageMetadata"])
	got := transport.Answer{Usage: counted.counts()}
	var came []struct {
		Values []float32 `json:"values"`
	}
	if raw := reply["embeddings"]; chat.IsNull(raw) || json.Unmarshal(raw, &came) != nil {
		return got, &providers.Error{Class: providers.Malformed, Message: "the answer has no list of embeddings"}
	}
	if len(came) != len(r.Requests) {
		return got, &providers.Error{Class: providers.Truncated, Message: "the answer has not one embedding for each input"}
	}
	said := embeddings{Object: "list", Model: model, Data: make([]vector, 0, len(came))}
	for i, one := range came {
		if len(one.Values) == 0 {
			return got, &providers.Error{Class: providers.Malformed, Message: "an embedding is empty"}
		}
		said.Data = append(said.Data, vector{"embedding", i, r.encode(one.Values)})
	}
	if got.Usage.Known {
		said.Usage = &embeddingUsage{got.Usage.InputTokens, got.Usage.InputTokens}
	}
	got.Body, err = json.Marshal(said)
	return got, err
}

// encode is a vector as the request wants it: numbers, or their 32-bit floats in
// little-endian order and base64.
func (r *embeddingRequest) encode(values []float32) any {
	if !r.base64 {
		return values
	}
	raw := make([]byte, 0, 4*len(values))
	for _, value := range values {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(value))
	}
	return base64.StdEncoding.EncodeToString(raw)
}
