package anthropic

import (
	"encoding/json"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// usage is what a message says of its tokens. In a stream it comes in pieces,
// and counts are cumulative: one that shrinks, as some servers repeat what they
// do not know as zero, is passed over.
type usage struct{ members chat.Object }

// add takes in a usage object. What is not one says nothing.
func (u *usage) add(raw json.RawMessage) {
	if chat.IsNull(raw) {
		return
	}
	said, err := chat.ReadObject(raw)
	if err != nil {
		return
	}
	if u.members == nil {
		u.members = chat.Object{}
	}
	for name, value := range said {
		before, _ := chat.Count(u.members[name])
		if now, ok := chat.Count(value); ok && now < before || chat.IsNull(value) {
			continue
		}
		u.members[name] = value
	}
}

// counts are the tokens as this project counts them: Messages counts cached
// input apart, here it is a part of the input.
func (u *usage) counts() providers.Usage {
	input, ok := chat.Count(u.members["input_tokens"])
	if !ok {
		return providers.Usage{}
	}
	output, ok := chat.Count(u.members["output_tokens"])
	if !ok {
		return providers.Usage{}
	}
	written, _ := chat.Count(u.members["cache_creation_input_tokens"])
	cached, _ := chat.Count(u.members["cache_read_input_tokens"])
	reasoning, _ := chat.Count(chat.Member(u.members["output_tokens_details"], "thinking_tokens"))
	return providers.Usage{
		Known:           true,
		InputTokens:     input + written + cached,
		OutputTokens:    output,
		CachedTokens:    cached,
		ReasoningTokens: reasoning,
	}
}
