package simulated

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
)

// embeddingRequest is an embeddings request.
type embeddingRequest struct {
	Model          string          `json:"model"`
	Input          json.RawMessage `json:"input"`
	Dimensions     *int            `json:"dimensions"`
	EncodingFormat string          `json:"encoding_format"`
}

const (
	defaultDimensions = 256
	maxDimensions     = 4096
	maxInputs         = 2048
)

func (s *Server) embeddings(x *exchange) error {
	var req embeddingRequest
	if err := json.Unmarshal(x.body, &req); err != nil {
		return x.wrong("the body is not a JSON object of the expected shape")
	}
	inputs := req.inputs()
	dimensions := defaultDimensions
	if req.Dimensions != nil {
		dimensions = *req.Dimensions
	}
	switch {
	case req.Model == "":
		return x.wrong("you must provide a model parameter")
	case len(inputs) == 0 || len(inputs) > maxInputs:
		return x.wrong("input must be one text, one list of tokens, or a list of 1 to " + strconv.Itoa(maxInputs))
	case dimensions < 1 || dimensions > maxDimensions:
		return x.wrong("dimensions must be from 1 to " + strconv.Itoa(maxDimensions))
	case req.EncodingFormat != "" && req.EncodingFormat != "float" && req.EncodingFormat != "base64":
		return x.wrong("encoding_format must be float or base64")
	}
	if err := x.waitForVectors(); err != nil {
		return err
	}
	x.writeWhole(s.embed(req, inputs, dimensions))
	return nil
}

// waitForVectors waits as long as an answer takes that is not streamed.
func (x *exchange) waitForVectors() error {
	wait := x.fate.first
	if x.fate.kind == KindStall {
		wait += orForEver(x.faults.StallFor)
	}
	return x.wait(wait)
}

// inputs takes the input apart; see OpenAI's four shapes of it.
func (r embeddingRequest) inputs() []json.RawMessage {
	var list []json.RawMessage
	if len(r.Input) == 0 || r.Input[0] == 'n' {
		return nil
	}
	if json.Unmarshal(r.Input, &list) != nil {
		return []json.RawMessage{r.Input}
	}
	if len(list) > 0 && list[0][0] != '"' && list[0][0] != '[' {
		return []json.RawMessage{r.Input} // one list of tokens
	}
	return list
}

func (s *Server) embed(req embeddingRequest, inputs []json.RawMessage, dimensions int) map[string]any {
	data := make([]any, 0, len(inputs))
	tokens := 0
	for i, input := range inputs {
		vector := s.vector(req.Model, input, dimensions)
		var embedding any = vector
		if req.EncodingFormat == "base64" {
			embedding = encodeVector(vector)
		}
		data = append(data, map[string]any{"object": "embedding", "index": i, "embedding": embedding})
		tokens += countTokens([]json.RawMessage{input})
	}
	return map[string]any{
		"object": "list", "model": req.Model, "data": data,
		"usage": map[string]any{"prompt_tokens": tokens, "total_tokens": tokens},
	}
}

// vector is of length one and hangs on seed, model and input only.
func (s *Server) vector(model string, input json.RawMessage, dimensions int) []float32 {
	draws := drawsOf(s.seed, promptHash(model, input), 0)
	drawn := make([]float64, dimensions)
	sum := 0.0
	for i := range drawn {
		drawn[i] = draws.NormFloat64()
		sum += drawn[i] * drawn[i]
	}
	vector := make([]float32, dimensions)
	for i, value := range drawn {
		vector[i] = float32(value / math.Sqrt(sum))
	}
	return vector
}

// encodeVector is little-endian float32 in base64, as OpenAI has it.
func encodeVector(vector []float32) string {
	raw := make([]byte, 0, 4*len(vector))
	for _, value := range vector {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(value))
	}
	return base64.StdEncoding.EncodeToString(raw)
}
