package anthropic_test

import (
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/providertest"
)

// refusals are requests that Messages cannot carry, by the field at fault. In
// them @ stands for a good conversation.
var refusals = []providertest.Refusal{
	{"/messages", `{}`},
	{"/messages", `{"messages":null}`},
	{"/messages", `{"messages":7}`},
	{"/messages", `{"messages":[]}`},
	{"/messages", `{"messages":[{"role":"system","content":"x"}]}`},
	{"/messages/0", `{"messages":["x"]}`},
	{"/messages/0/role", `{"messages":[{"role":"function","content":"x"}]}`},
	{"/messages/0/role", `{"messages":[{"content":"x"}]}`},
	{"/messages/0/name", `{"messages":[{"role":"user","content":"x","name":"n"}]}`},
	{"/messages/0/content", `{"messages":[{"role":"user"}]}`},
	{"/messages/0/content", `{"messages":[{"role":"user","content":""}]}`},
	{"/messages/0/content", `{"messages":[{"role":"user","content":7}]}`},
	{"/messages/0/content/1/text", `{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"text","text":""}]}]}`},
	{"/messages/0/content/0/type", `{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"x","format":"wav"}}]}]}`},
	{"/messages/0/content/0/type", `{"messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://x"}}]}]}`},
	{"/messages/0/content/0/file/file_id", `{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}`},
	{"/messages/0/content/0/file/file_data", `{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:text/csv;base64,AA"}}]}]}`},
	{"/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/tiff;base64,AA"}}]}]}`},
	{"/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,AA"}}]}]}`},
	{"/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}`},
	{"/messages/0/content/0/image_url/detail", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x","detail":"low"}}]}]}`},
	{"/messages/0/content/0/a~1b~0c", `{"messages":[{"role":"user","content":[{"type":"text","text":"x","a/b~c":1}]}]}`},
	{"/messages/1", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}`},
	{"/messages/1/content", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null}]}`},
	{"/messages/1/audio", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","audio":{"id":"a"}}]}`},
	{"/messages/1/function_call", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","function_call":{"name":"f"}}]}`},
	{"/messages/1", `{"messages":[{"role":"user","content":"x"},{"role":"system","content":"y"},{"role":"user","content":"z"}]}`},
	{"/messages/2", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"},{"role":"system","content":"z"},{"role":"user","content":"z"}]}`},
	{"/messages/0/tool_call_id", `{"messages":[{"role":"tool","content":"x"}]}`},
	{"/messages/0/tool_calls/0/function/arguments", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]}]}`},
	{"/messages/0/tool_calls/0/function/arguments", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"[1]"}}]}]}`},
	{"/messages/0/tool_calls/0/custom", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"custom","custom":{"name":"f"}}]}]}`},
	{"/messages/0/tool_calls/0/id", `{"messages":[{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f"}}]}]}`},

	{"/n", `{@,"n":2}`},
	{"/logprobs", `{@,"logprobs":true}`},
	{"/top_logprobs", `{@,"top_logprobs":3}`},
	{"/seed", `{@,"seed":1}`},
	{"/logit_bias", `{@,"logit_bias":{"50256":-100}}`},
	{"/presence_penalty", `{@,"presence_penalty":0.1}`},
	{"/frequency_penalty", `{@,"frequency_penalty":-1}`},
	{"/prediction", `{@,"prediction":{"type":"content","content":"x"}}`},
	{"/audio", `{@,"audio":{"voice":"x"}}`},
	{"/modalities", `{@,"modalities":["text","audio"]}`},
	{"/verbosity", `{@,"verbosity":"low"}`},
	{"/store", `{@,"store":true}`},
	{"/metadata", `{@,"metadata":{"a":"b"}}`},
	{"/web_search_options", `{@,"web_search_options":{"user_location":{}}}`},
	{"/functions", `{@,"functions":[{"name":"f"}]}`},
	{"/top_k", `{@,"top_k":3}`},
	{"/temperature", `{@,"temperature":1.5}`},
	{"/temperature", `{@,"temperature":-0.1}`},
	{"/top_p", `{@,"top_p":"1"}`},
	{"/max_tokens", `{@,"max_tokens":0}`},
	{"/max_tokens", `{@,"max_tokens":1.5}`},
	{"/max_completion_tokens", `{@,"max_tokens":1,"max_completion_tokens":2}`},
	{"/stop", `{@,"stop":"\n"}`},
	{"/stop/1", `{@,"stop":["a"," "]}`},
	{"/stop/0", `{@,"stop":[1]}`},
	{"/reasoning_effort", `{@,"reasoning_effort":"minimal"}`},
	{"/service_tier", `{@,"service_tier":"flex"}`},
	{"/safety_identifier", `{@,"user":"a","safety_identifier":"b"}`},
	{"/response_format/type", `{@,"response_format":{"type":"json_object"}}`},
	{"/response_format/json_schema", `{@,"response_format":{"type":"json_schema"}}`},
	{"/response_format/json_schema/schema", `{@,"response_format":{"type":"json_schema","json_schema":{"name":"n"}}}`},
	{"/response_format/json_schema/description", `{@,"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"a","schema":{"description":"b"}}}}`},
	{"/tools/0/custom", `{@,"tools":[{"type":"custom","custom":{"name":"f"}}]}`},
	{"/tools/0/type", `{@,"tools":[{"type":"web_search"}]}`},
	{"/tools/0/function/name", `{@,"tools":[{"type":"function","function":{}}]}`},
	{"/tools/0/function/parameters/type", `{@,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"array"}}}]}`},
	{"/tools/0/function/other", `{@,"tools":[{"type":"function","function":{"name":"f","other":1}}]}`},
	{"/tool_choice", `{@,"tool_choice":"required"}`},
	{"/tool_choice", `{@,"tool_choice":"maybe","tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/tool_choice/allowed_tools", `{@,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{}]}},"tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/parallel_tool_calls", `{@,"parallel_tool_calls":"no"}`},
}

func TestWhatMessagesCannotSayIsRefused(t *testing.T) {
	t.Parallel()
	providertest.Refuses(t, providers.ChatCompletions, refusals, open, anthropic.Check)
}

func TestOtherEndpointsAreRefused(t *testing.T) {
	t.Parallel()
	providertest.RefusesEndpoint(t, providers.Embeddings, anthropic.Check)
}

func TestBodiesThatAreNoObjectAreRefused(t *testing.T) {
	t.Parallel()
	providertest.RefusesNoObject(t, providers.ChatCompletions, open)
}
