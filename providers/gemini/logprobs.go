package gemini

import "github.com/penstock-dev/penstock/providers/internal/chat"

// logprobs are the tokens of an answer, and those that were likely in the place
// of each.
type logprobs struct {
	Chosen []likely `json:"chosenCandidates"`
	Top    []struct {
		Candidates []likely `json:"candidates"`
	} `json:"topCandidates"`
}

type likely struct {
	Token   string  `json:"token"`
	Logprob float64 `json:"logProbability"`
}

// tokens says them as chat completions do.
func (l logprobs) tokens() []chat.Token {
	tokens := make([]chat.Token, 0, len(l.Chosen))
	for i, chosen := range l.Chosen {
		token := chat.Token{Likely: chat.Likely{Token: chosen.Token, Logprob: chosen.Logprob}, Top: []chat.Likely{}}
		if i < len(l.Top) {
			for _, other := range l.Top[i].Candidates {
				token.Top = append(token.Top, chat.Likely{Token: other.Token, Logprob: other.Logprob})
			}
		}
		tokens = append(tokens, token)
	}
	return tokens
}
