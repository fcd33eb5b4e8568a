package openai

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers"
)

// usageOf reads the usage of an answer or of the last chunk that had one.
func usageOf(reply object) providers.Usage {
	raw := reply["usage"]
	if isEmpty(raw) {
		var groq struct { // Groq puts a stream's usage here
			Usage json.RawMessage `json:"usage"`
		}
		if isNull(reply["x_groq"]) || json.Unmarshal(reply["x_groq"], &groq) != nil {
			return providers.Usage{}
		}
		raw = groq.Usage
	}
	if isNull(raw) {
		return providers.Usage{}
	}
	counts, err := readObject(raw)
	if err != nil {
		return providers.Usage{}
	}
	input, ok := count(counts["prompt_tokens"])
	if !ok {
		return providers.Usage{}
	}
	output, ok := count(counts["completion_tokens"])
	if !ok && !isNull(counts["completion_tokens"]) { // embeddings have none
		return providers.Usage{}
	}
	cached, ok := count(detail(counts, "prompt_tokens_details", "cached_tokens"))
	if !ok {
		cached, _ = count(counts["prompt_cache_hit_tokens"]) // DeepSeek's name for it
	}
	reasoning, _ := count(detail(counts, "completion_tokens_details", "reasoning_tokens"))
	return providers.Usage{
		Known:           true,
		InputTokens:     input,
		OutputTokens:    output,
		CachedTokens:    cached,
		ReasoningTokens: reasoning,
	}
}

// count reads a number of tokens; ok is false when there is none that makes
// sense.
func count(raw json.RawMessage) (n int64, ok bool) {
	if isNull(raw) || json.Unmarshal(raw, &n) != nil || n < 0 {
		return 0, false
	}
	return n, true
}

func detail(counts object, name, member string) json.RawMessage {
	if isNull(counts[name]) {
		return nil
	}
	details, err := readObject(counts[name])
	if err != nil {
		return nil
	}
	return details[member]
}
