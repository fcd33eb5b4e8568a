package openai

import "github.com/penstock-dev/penstock/providers"

// badFinishes are the finish reasons that say an answer is not whole. An
// answer that a filter cut or withheld is an error, not a result: what is
// there is a part, and another target may answer. With several choices it is
// one only if no choice is whole; else each says for itself how it ended.
var badFinishes = map[string]providers.Error{
	"content_filter": {Class: providers.ContentFiltered, Message: "a content filter withheld the answer"},
	"error":          {Class: providers.ServerError, Message: "the server broke off the answer"},
	"abort":          {Class: providers.Truncated, Message: "the server aborted the answer"},
	// DeepSeek's, when its machines ran short while it answered.
	"insufficient_system_resource": {
		Class: providers.Overloaded, Message: "the server ran out of resources inside the answer",
	},
}

// checkFinishes judges an answer by the finish reasons of its choices.
func checkFinishes(finishes []string) error {
	if len(finishes) == 0 {
		return &providers.Error{Class: providers.Malformed, Message: "the answer has no choices"}
	}
	whole := 0
	for _, reason := range finishes {
		if reason == "" {
			return &providers.Error{Class: providers.Truncated, Message: "a choice has no finish reason"}
		}
		if _, bad := badFinishes[reason]; !bad {
			whole++
		}
	}
	if whole > 0 {
		return nil
	}
	failure := badFinishes[finishes[0]]
	return &failure
}
