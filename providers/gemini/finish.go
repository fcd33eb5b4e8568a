package gemini

import "github.com/penstock-dev/penstock/providers"

// badFinishes are the finish reasons of an answer that is not whole. One that is
// not here, nor STOP or MAX_TOKENS, says nothing that is known.
var badFinishes = map[string]providers.Error{
	"SAFETY":                   filtered,
	"RECITATION":               filtered,
	"LANGUAGE":                 filtered,
	"BLOCKLIST":                filtered,
	"PROHIBITED_CONTENT":       filtered,
	"SPII":                     filtered,
	"IMAGE_SAFETY":             filtered,
	"IMAGE_PROHIBITED_CONTENT": filtered,
	"IMAGE_RECITATION":         filtered,
	"OTHER":                    {Class: providers.ServerError, Message: "the server broke off the answer and does not say why"},
	"CONTINUATION":             {Class: providers.Truncated, Message: "the answer was paused and is not whole"},
	"MALFORMED_FUNCTION_CALL":  miscalled,
	"MALFORMED_RESPONSE":       miscalled,
	"UNEXPECTED_TOOL_CALL":     miscalled,
	"TOO_MANY_TOOL_CALLS":      miscalled,
	"MISSING_THOUGHT_SIGNATURE": {
		Class: providers.BadRequest, Message: "the model wants back the thought signatures of its tool calls",
	},
}

var (
	filtered  = providers.Error{Class: providers.ContentFiltered, Message: "a content filter withheld the answer"}
	miscalled = providers.Error{Class: providers.InvalidOutput, Message: "the model called a tool in a way that it cannot be called"}
)

// finishesOf are the finish reasons of choices. An answer that is not whole is an
// error. With several choices it is one that a filter withheld only if that
// happened to each; else each says for itself how it ended.
func finishesOf(choices []choice) ([]string, error) {
	reasons := make([]string, 0, len(choices))
	var withheld *providers.Error
	whole := false
	for _, ch := range choices {
		reason, failure := ch.finish()
		switch {
		case failure == nil:
			whole = true
		case failure.Class != providers.ContentFiltered:
			return nil, failure
		case withheld == nil:
			withheld = failure
		}
		reasons = append(reasons, reason)
	}
	if !whole {
		return nil, withheld
	}
	return reasons, nil
}

// finish is how ch ended, in the words of chat completions.
func (ch choice) finish() (string, *providers.Error) {
	switch {
	case ch.reason == "" || ch.reason == "FINISH_REASON_UNSPECIFIED":
		return "", errUnfinished
	case ch.reason == "MAX_TOKENS":
		return "length", nil
	case ch.reason == "STOP" && ch.calls > 0:
		return "tool_calls", nil
	case ch.reason == "STOP":
		return "stop", nil
	}
	failure, known := badFinishes[ch.reason]
	if !known {
		failure = providers.Error{Class: providers.Malformed, Message: "the answer has an unknown finish reason"}
	}
	failure.Detail = ch.message
	return "content_filter", &failure
}
