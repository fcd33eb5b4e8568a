package simulated

import (
	"encoding/json"
	"net/http"
	"strings"
)

// generatePath is where Gemini's models are asked: {call} is the model and, behind
// a colon, what is asked of it.
const generatePath = "/v1beta/models/{call}"

// What is asked of a model.
const (
	generateContent       = "generateContent"
	streamGenerateContent = "streamGenerateContent"
)

// generateRequest is what of a request to generateContent shapes the simulated
// answer.
type generateRequest struct {
	System     json.RawMessage   `json:"systemInstruction"`
	Contents   []json.RawMessage `json:"contents"`
	Generation struct {
		MaxOutputTokens *int `json:"maxOutputTokens"`
		CandidateCount  *int `json:"candidateCount"`
	} `json:"generationConfig"`
}

// maxCandidates is Gemini's bound of candidateCount.
const maxCandidates = 8

// splitCall is the model and what is asked of it, of a path as generatePath.
func splitCall(r *http.Request) (model, method string) {
	call := r.PathValue("call")
	at := strings.LastIndexByte(call, ':')
	if at < 0 {
		return call, ""
	}
	return call[:at], call[at+1:]
}

// generates answers generateContent, streamGenerateContent and batchEmbedContents,
// and nothing else at their path.
func (s *Server) generates() http.HandlerFunc {
	embed := s.call(&generating, s.batchEmbed)
	whole, streamed := s.call(&generating, s.generate(false)), s.call(&generating, s.generate(true))
	return func(w http.ResponseWriter, r *http.Request) {
		switch _, method := splitCall(r); {
		case method == generateContent:
			whole(w, r)
		case method == streamGenerateContent && r.URL.Query().Get("alt") == "sse":
			streamed(w, r)
		case method == batchEmbedContents:
			embed(w, r)
		default:
			writeJSON(w, http.StatusNotFound, generating.body(generating.refusals["not_found"], "no such address"))
		}
	}
}

func (x *exchange) readGenerate() (generateRequest, error) {
	var req generateRequest
	if err := json.Unmarshal(x.body, &req); err != nil {
		return req, x.wrong("Invalid JSON payload received.")
	}
	most, count := req.Generation.MaxOutputTokens, req.Generation.CandidateCount
	switch {
	case len(req.Contents) == 0:
		return req, x.wrong("* GenerateContentRequest.contents: contents is not specified")
	case most != nil && *most < 1:
		return req, x.wrong("* GenerateContentRequest.generation_config.max_output_tokens: must be positive")
	case count != nil && (*count < 1 || *count > maxCandidates):
		return req, x.wrong("* GenerateContentRequest.generation_config.candidate_count: must be from 1 to 8")
	}
	return req, nil
}

// prompt is all that was said, the system instruction first.
func (r generateRequest) prompt() []json.RawMessage {
	if r.System == nil {
		return r.Contents
	}
	return append([]json.RawMessage{r.System}, r.Contents...)
}

func (s *Server) generate(stream bool) func(*exchange) error {
	return func(x *exchange) error {
		req, err := x.readGenerate()
		if err != nil {
			return err
		}
		done := s.compose(x, chatRequest{
			Model: x.model, Messages: req.prompt(), MaxTokens: req.Generation.MaxOutputTokens, N: req.Generation.CandidateCount,
		})
		if stream {
			return x.stream(done, &generateScript{})
		}
		return x.whole(done, done.generated())
	}
}

// finishReasons are finish reasons in the words of Gemini.
var finishReasons = map[string]string{"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}

// generated is the answer as Gemini has it.
func (c completion) generated() map[string]any {
	candidates := make([]any, 0, len(c.choices))
	for i, choice := range c.choices {
		candidates = append(candidates, candidate(i, strings.Join(choice.tokens, ""), finishReasons[choice.finish]))
	}
	return c.generatedPart(candidates, c.output)
}

// generatedPart is an answer, or an event of one, with output tokens so far.
func (c completion) generatedPart(candidates []any, output int) map[string]any {
	return map[string]any{
		"candidates": candidates, "modelVersion": c.model, "responseId": c.id,
		"usageMetadata": map[string]any{
			"promptTokenCount": c.input, "candidatesTokenCount": output, "totalTokenCount": c.input + output,
		},
	}
}

// candidate has no finish reason if that is empty.
func candidate(index int, text, finish string) map[string]any {
	c := map[string]any{
		"index": index, "content": map[string]any{"role": "model", "parts": []any{map[string]any{"text": text}}},
	}
	if finish != "" {
		c["finishReason"] = finish
	}
	return c
}

// generateScript streams as Gemini does: its last event has the finish reasons.
type generateScript struct{ output int }

func (*generateScript) begin(*stream) {}

func (s *generateScript) tokens(o *stream, position int) {
	for i, choice := range o.done.choices {
		if position >= len(choice.tokens) {
			continue
		}
		s.output++
		o.writeJSON("", o.done.generatedPart([]any{candidate(i, choice.tokens[position], "")}, s.output))
	}
}

func (s *generateScript) finish(o *stream) {
	candidates := make([]any, 0, len(o.done.choices))
	for i, choice := range o.done.choices {
		candidates = append(candidates, candidate(i, "", finishReasons[choice.finish]))
	}
	o.writeJSON("", o.done.generatedPart(candidates, s.output))
}

func (*generateScript) broken(o *stream) {
	o.write("", []byte(`{"candidates":[{"index":0,"content":{"par`))
}

func (*generateScript) failed(o *stream) {
	o.writeJSON("", o.x.words.body(o.x.words.failed, "simulated failure"))
}
