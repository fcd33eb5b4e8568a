package simulated

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// chatRequest is what of a chat request shapes the simulated answer.
type chatRequest struct {
	Model               string            `json:"model"`
	Messages            []json.RawMessage `json:"messages"`
	MaxTokens           *int              `json:"max_tokens"`
	MaxCompletionTokens *int              `json:"max_completion_tokens"`
	N                   *int              `json:"n"`
	Stream              bool              `json:"stream"`
	StreamOptions       struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
}

// completion is an answer before it is written.
type completion struct {
	id      string
	created int64
	model   string
	choices []chatChoice
	// input and output count tokens, output those of all choices.
	input, output int
}

type chatChoice struct {
	tokens []string
	finish string
}

// maxChoices is OpenAI's bound of n.
const maxChoices = 128

func (x *exchange) readChat() (chatRequest, error) {
	var req chatRequest
	if err := json.Unmarshal(x.body, &req); err != nil {
		return req, x.wrong("the body is not a JSON object of the expected shape")
	}
	switch {
	case req.Model == "":
		return req, x.wrong("you must provide a model parameter")
	case len(req.Messages) == 0:
		return req, x.wrong("messages must not be empty")
	case req.N != nil && (*req.N < 1 || *req.N > maxChoices):
		return req, x.wrong("n must be from 1 to 128")
	case req.limit() < 1:
		return req, x.wrong("max_tokens must be at least 1")
	}
	return req, nil
}

// limit is the most tokens the request allows.
func (r chatRequest) limit() int {
	switch {
	case r.MaxCompletionTokens != nil:
		return *r.MaxCompletionTokens
	case r.MaxTokens != nil:
		return *r.MaxTokens
	default:
		return maxOutput
	}
}

func (s *Server) chat(x *exchange) error {
	req, err := x.readChat()
	if err != nil {
		return err
	}
	done := s.compose(x, req)
	if req.Stream {
		return x.stream(done, chatScript{usage: req.StreamOptions.IncludeUsage})
	}
	return x.whole(done, done.body())
}

// compose makes up the answer: it hangs on seed, model and messages only.
func (s *Server) compose(x *exchange, req chatRequest) completion {
	prompt, _ := json.Marshal(req.Messages)
	hash := promptHash(req.Model, prompt)
	length := x.faults.OutputTokens
	if length == (Range{}) {
		length = defaultOutput
	}
	n := 1
	if req.N != nil {
		n = *req.N
	}
	done := completion{
		id:      hex.EncodeToString(hash[:12]),
		created: time.Now().Unix(),
		model:   req.Model,
	}
	for i := range n {
		draws := drawsOf(s.seed, hash, uint64(i))
		count := length.Min + draws.IntN(length.Max-length.Min+1)
		finish := "stop"
		if count > req.limit() {
			count, finish = req.limit(), "length"
		}
		if x.fate.kind == KindFiltered {
			count, finish = count/2, "content_filter"
		}
		done.choices = append(done.choices, chatChoice{writeText(draws, count), finish})
		done.output += count
	}
	done.input = countTokens(req.Messages)
	return done
}

func (c completion) usage() map[string]any {
	return map[string]any{
		"prompt_tokens": c.input, "completion_tokens": c.output, "total_tokens": c.input + c.output,
		"prompt_tokens_details":     map[string]any{"cached_tokens": 0},
		"completion_tokens_details": map[string]any{"reasoning_tokens": 0},
	}
}

// longest is the number of tokens of the longest choice.
func (c completion) longest() int {
	longest := 0
	for _, choice := range c.choices {
		longest = max(longest, len(choice.tokens))
	}
	return longest
}

func (c completion) body() map[string]any {
	choices := make([]any, 0, len(c.choices))
	for i, choice := range c.choices {
		choices = append(choices, map[string]any{
			"index": i, "logprobs": nil, "finish_reason": choice.finish,
			"message": map[string]any{
				"role": "assistant", "content": strings.Join(choice.tokens, ""), "refusal": nil,
			},
		})
	}
	return map[string]any{
		"id": "chatcmpl-" + c.id, "object": "chat.completion", "created": c.created, "model": c.model,
		"choices": choices, "usage": c.usage(), "system_fingerprint": "fp_simulated",
	}
}

// writeWhole writes a body with the faults that a whole body can have.
func (x *exchange) writeWhole(value any) {
	body, _ := json.Marshal(value)
	switch x.fate.kind {
	case KindTruncated, KindNoDone:
		x.end(x.fate.kind)
		x.w.Header().Set("Content-Type", "application/json")
		_, _ = x.w.Write(body[:len(body)/2])
		_ = http.NewResponseController(x.w).Flush()
		panic(http.ErrAbortHandler)
	case KindMalformed:
		x.end(x.fate.kind)
		body = body[:len(body)/2]
	case KindErrorInStream:
		x.end(x.fate.kind)
		body, _ = json.Marshal(x.words.body(x.words.failed, "simulated failure"))
	case KindFiltered, KindStall:
		x.end(x.fate.kind)
	}
	x.w.Header().Set("Content-Type", "application/json")
	_, _ = x.w.Write(body)
}
