package anthropic

import (
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// usage is what a message says of its tokens. In a stream it comes in pieces,
// and counts are cumulative.
type usage struct{ chat.Counts }

// counts are the tokens as this project counts them: Messages counts cached
// input apart, here it is a part of the input.
func (u *usage) counts() providers.Usage {
	input, ok := u.Count("input_tokens")
	if !ok {
		return providers.Usage{}
	}
	output, ok := u.Count("output_tokens")
	if !ok {
		return providers.Usage{}
	}
	written, _ := u.Count("cache_creation_input_tokens")
	cached, _ := u.Count("cache_read_input_tokens")
	reasoning, _ := chat.Count(chat.Member(u.Raw("output_tokens_details"), "thinking_tokens"))
	return providers.Usage{
		Known:           true,
		InputTokens:     input + written + cached,
		OutputTokens:    output,
		CachedTokens:    cached,
		ReasoningTokens: reasoning,
	}
}
