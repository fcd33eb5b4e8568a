package openai

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// usageOf reads a usage, or that of Groq's own member, where Groq puts that of
// a stream.
func usageOf(usage, groq json.RawMessage) providers.Usage {
	if chat.IsEmpty(usage) {
		usage = chat.Member(groq, "usage")
	}
	if chat.IsNull(usage) {
		return providers.Usage{}
	}
	counts, err := chat.ReadObject(usage)
	if err != nil {
		return providers.Usage{}
	}
	input, ok := chat.Count(counts["prompt_tokens"])
	if !ok {
		return providers.Usage{}
	}
	output, ok := chat.Count(counts["completion_tokens"])
	if !ok && !chat.IsNull(counts["completion_tokens"]) { // embeddings have none
		return providers.Usage{}
	}
	cached, ok := chat.Count(chat.Member(counts["prompt_tokens_details"], "cached_tokens"))
	if !ok {
		cached, _ = chat.Count(counts["prompt_cache_hit_tokens"]) // DeepSeek's name for it
	}
	reasoning, _ := chat.Count(chat.Member(counts["completion_tokens_details"], "reasoning_tokens"))
	return providers.Usage{
		Known:           true,
		InputTokens:     input,
		OutputTokens:    output,
		CachedTokens:    cached,
		ReasoningTokens: reasoning,
	}
}
