package simulated

import "encoding/json"

// batchEmbedContents is what is asked of a model for embeddings in Gemini.
const batchEmbedContents = "batchEmbedContents"

// batchEmbedRequest is a request to batchEmbedContents.
type batchEmbedRequest struct {
	Requests []struct {
		Content struct {
			Parts []struct {
				Text json.RawMessage `json:"text"`
			} `json:"parts"`
		} `json:"content"`
		Dimensions *int `json:"outputDimensionality"`
	} `json:"requests"`
}

// maxBatch is how many texts Gemini takes at once.
const maxBatch = 100

// batchEmbed answers with the vectors that the same texts have in embeddings.
func (s *Server) batchEmbed(x *exchange) error {
	var req batchEmbedRequest
	if err := json.Unmarshal(x.body, &req); err != nil {
		return x.wrong("Invalid JSON payload received.")
	}
	if len(req.Requests) == 0 || len(req.Requests) > maxBatch {
		return x.wrong("* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch, and at least one")
	}
	var vectors []any
	var texts []json.RawMessage
	for _, one := range req.Requests {
		dimensions := defaultDimensions
		if one.Dimensions != nil {
			dimensions = *one.Dimensions
		}
		if len(one.Content.Parts) != 1 || dimensions < 1 || dimensions > maxDimensions {
			return x.wrong("* EmbedContentRequest: content and output_dimensionality must make sense")
		}
		text := one.Content.Parts[0].Text
		vectors = append(vectors, map[string]any{"values": s.vector(x.model, text, dimensions)})
		texts = append(texts, text)
	}
	if err := x.waitForVectors(); err != nil {
		return err
	}
	tokens := 0
	for _, text := range texts {
		tokens += countTokens([]json.RawMessage{text})
	}
	x.writeWhole(map[string]any{"embeddings": vectors, "usageMetadata": map[string]any{"promptTokenCount": tokens}})
	return nil
}
