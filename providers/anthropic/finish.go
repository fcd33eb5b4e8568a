package anthropic

import "github.com/penstock-dev/penstock/providers"

// finishes are the stop reasons of a whole answer as finish reasons.
var finishes = map[string]string{
	"end_turn":                      "stop",
	"stop_sequence":                 "stop",
	"max_tokens":                    "length",
	"model_context_window_exceeded": "length",
	"tool_use":                      "tool_calls",
}

// finishOf translates a stop reason. One that says that the answer is not
// whole, or says nothing that is known, is an error: a refusal is what chat
// completions call a content filter, and another target may answer.
func finishOf(stop string, details *stopDetails) (string, error) {
	if reason, ok := finishes[stop]; ok {
		return reason, nil
	}
	switch stop {
	case "":
		return "", &providers.Error{Class: providers.Truncated, Message: "the answer has no stop reason"}
	case "refusal":
		failure := &providers.Error{Class: providers.ContentFiltered, Message: "the provider refused to answer"}
		if details != nil {
			failure.Detail = details.Explanation
		}
		return "", failure
	case "pause_turn":
		return "", &providers.Error{Class: providers.Truncated, Message: "the answer was paused and is not whole"}
	default:
		return "", &providers.Error{Class: providers.Malformed, Message: "the answer has an unknown stop reason"}
	}
}
