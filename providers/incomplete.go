package providers

import "encoding/json"

// Incomplete reports whether an endpoint's answer says that it ended at a bound of the
// request. Only one of [Responses] does, by its status; the reason why a chat completion
// ended is that of each choice.
func Incomplete(endpoint string, answer json.RawMessage) bool {
	if endpoint != Responses {
		return false
	}
	var response struct {
		Status string `json:"status"`
	}
	return json.Unmarshal(answer, &response) == nil && response.Status == "incomplete"
}
