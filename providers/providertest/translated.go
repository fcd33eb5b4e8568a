package providertest

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/penstock-dev/penstock/providers"
)

// AsResponses is wire, of chat completions, asked for responses: the same replies
// come to the same errors, and its answers to responses.
func AsResponses(wire Wire) Wire {
	wire.Request.Endpoint = providers.Responses
	wire.Request.Body = json.RawMessage(`{"model":"default","input":"` + Prompt + `"}`)
	return wire.answering(func(c helloAnswer, u providers.Usage) string {
		usage := "null"
		if u.Known {
			usage = fmt.Sprintf(`{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d,"cache_write_tokens":0},"output_tokens":%d,`+
				`"output_tokens_details":{"reasoning_tokens":%d},"total_tokens":%d}`,
				u.InputTokens, u.CachedTokens, u.OutputTokens, u.ReasoningTokens, u.InputTokens+u.OutputTokens)
		}
		return `{"id":"resp_` + c.ID + `","object":"response","created_at":` + strconv.FormatInt(c.Created, 10) +
			`,"status":"completed","background":false,"error":null,"incomplete_details":null,"instructions":null,` +
			`"max_output_tokens":null,"metadata":{},"model":"` + c.Model + `","output":[{"id":"msg_` + c.ID +
			`","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hello world",` +
			`"annotations":[],"logprobs":[]}]}],"parallel_tool_calls":true,"previous_response_id":null,"reasoning":null,` +
			`"store":false,"temperature":null,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],"top_p":null,` +
			`"truncation":"disabled","usage":` + usage + `}`
	})
}

// AsMessages is wire, of chat completions, asked for messages.
func AsMessages(wire Wire) Wire {
	wire.Request.Endpoint = providers.Messages
	wire.Request.Body = json.RawMessage(`{"model":"default","max_tokens":100,"messages":[{"role":"user","content":"` + Prompt + `"}]}`)
	return wire.answering(func(c helloAnswer, u providers.Usage) string {
		usage := "null"
		if u.Known {
			usage = fmt.Sprintf(`{"input_tokens":%d,"cache_creation_input_tokens":0,"cache_read_input_tokens":%d,`+
				`"output_tokens":%d,"output_tokens_details":{"thinking_tokens":%d},"cache_creation":null,"server_tool_use":null,`+
				`"inference_geo":null,"service_tier":null,"speed":null}`,
				u.InputTokens-u.CachedTokens, u.CachedTokens, u.OutputTokens, u.ReasoningTokens)
		}
		return `{"id":"msg_` + c.ID + `","type":"message","role":"assistant","model":"` + c.Model +
			`","content":[{"type":"text","text":"Hello world","citations":null}],"stop_reason":"end_turn","stop_sequence":null,` +
			`"stop_details":null,"container":null,"diagnostics":null,"usage":` + usage + `}`
	})
}

// helloAnswer is what differs between the chat completions that say hello.
type helloAnswer struct {
	ID      string `json:"id"`
	Created int64  `json:"created"`
	Model   string `json:"model"`
}

func (w Wire) answering(body func(helloAnswer, providers.Usage) string) Wire {
	answers := w.Answers
	w.Answers = nil
	for _, answer := range answers {
		var hello helloAnswer
		if json.Unmarshal([]byte(answer.Body), &hello) != nil {
			panic("providertest: the answer " + answer.Name + " is not JSON")
		}
		answer.Body = body(hello, answer.Want.Usage)
		w.Answers = append(w.Answers, answer)
	}
	return w
}
