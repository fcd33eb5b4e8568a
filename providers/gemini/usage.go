package gemini

import (
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
)

// usage is what an answer says of its tokens. In a stream each event says it
// anew, and counts are cumulative.
type usage struct{ chat.Counts }

// counts are the tokens as this project counts them: Gemini counts cached input
// as a part of the input, as is done here, but thoughts apart from the answer,
// and leaves out what is zero.
func (u *usage) counts() providers.Usage {
	input, ok := u.Count("promptTokenCount")
	if !ok {
		return providers.Usage{}
	}
	fetched, _ := u.Count("toolUsePromptTokenCount")
	output, _ := u.Count("candidatesTokenCount")
	thoughts, _ := u.Count("thoughtsTokenCount")
	cached, _ := u.Count("cachedContentTokenCount")
	return providers.Usage{
		Known:           true,
		InputTokens:     input + fetched,
		OutputTokens:    output + thoughts,
		CachedTokens:    cached,
		ReasoningTokens: thoughts,
	}
}
