package gemini_test

import (
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/gemini"
	"github.com/penstock-dev/penstock/providers/providertest"
)

// refusals are requests that Gemini cannot carry, by the field at fault. In them
// @ stands for a good conversation.
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
	{"/messages/0/content/0", `{"messages":[{"role":"user","content":["x"]}]}`},
	{"/messages/0/content/1/text", `{"messages":[{"role":"user","content":[{"type":"text","text":"x"},{"type":"text","text":""}]}]}`},
	{"/messages/0/content/0/text", `{"messages":[{"role":"user","content":[{"type":"text"}]}]}`},
	{"/messages/0/content/0/type", `{"messages":[{"role":"user","content":[{"type":"video_url","video_url":{"url":"https://x"}}]}]}`},
	{"/messages/0/content/0/type", `{"messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://x/a.png"}}]}]}`},
	{"/messages/0/content/0/cache_control", `{"messages":[{"role":"user","content":[{"type":"text","text":"x","cache_control":{"type":"ephemeral"}}]}]}`},
	{"/messages/0/content/0/file/file_id", `{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}`},
	{"/messages/0/content/0/file/filename", `{"messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AA"}}]}]}`},
	{"/messages/0/content/0/file/file_data", `{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"data:;base64,AA"}}]}]}`},
	{"/messages/0/content/0/file/file_data", `{"messages":[{"role":"user","content":[{"type":"file","file":{"file_data":"AA"}}]}]}`},
	{"/messages/0/content/0/input_audio/format", `{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"x","format":"midi"}}]}]}`},
	{"/messages/0/content/0/input_audio/data", `{"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"format":"wav"}}]}]}`},
	{"/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:text/html;base64,AA"}}]}]}`},
	{"/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png,AA"}}]}]}`},
	{"/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x/a.png"}}]}]}`},
	{"/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/a"}}]}]}`},
	{"/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/%zz.png"}}]}]}`},
	{"/messages/0/content/0/image_url/url", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}]}]}`},
	{"/messages/0/content/0/image_url/detail", `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/a.png","detail":"low"}}]}]}`},
	{"/messages/0/content/0/a~1b~0c", `{"messages":[{"role":"user","content":[{"type":"text","text":"x","a/b~c":1}]}]}`},
	{"/messages/1", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]}`},
	{"/messages/1", `{"messages":[{"role":"user","content":"x"},{"role":"system","content":"y"}]}`},
	{"/messages/1/content", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":null}]}`},
	{"/messages/1/audio", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","content":"y","audio":{"id":"a"}}]}`},
	{"/messages/1/function_call", `{"messages":[{"role":"user","content":"x"},{"role":"assistant","function_call":{"name":"f"}}]}`},
	{"/messages/0/tool_call_id", `{"messages":[{"role":"tool","content":"x"}]}`},
	{"/messages/0/tool_call_id", `{"messages":[{"role":"tool","content":"x","tool_call_id":"a"}]}`},
	{"/messages/1/content/0/type", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f"}}]},
	  {"role":"tool","tool_call_id":"a","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}]}`},
	{"/messages/0/tool_calls/0/function/arguments", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{"}}]}]}`},
	{"/messages/0/tool_calls/0/function/arguments", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"[1]"}}]}]}`},
	{"/messages/0/tool_calls/0/function/name", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{}}]}]}`},
	{"/messages/0/tool_calls/0/custom", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"custom","custom":{"name":"f"}}]}]}`},
	{"/messages/0/tool_calls/0/id", `{"messages":[{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f"}}]}]}`},
	{"/messages/0/tool_calls/0/extra_content/other", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f"},"extra_content":{"other":1}}]}]}`},
	{"/messages/0/tool_calls/0/extra_content/google/other", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f"},"extra_content":{"google":{"other":1}}}]}]}`},
	{"/messages/0/tool_calls/0/extra_content/google/thought_signature", `{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f"},"extra_content":{"google":{"thought_signature":1}}}]}]}`},

	{"/model", `{@,"model":7}`},
	{"/n", `{@,"n":9}`},
	{"/n", `{@,"n":0}`},
	{"/logprobs", `{@,"logprobs":1}`},
	{"/top_logprobs", `{@,"top_logprobs":3}`},
	{"/top_logprobs", `{@,"logprobs":false,"top_logprobs":3}`},
	{"/top_logprobs", `{@,"logprobs":true,"top_logprobs":21}`},
	{"/seed", `{@,"seed":2147483648}`},
	{"/seed", `{@,"seed":1.5}`},
	{"/logit_bias", `{@,"logit_bias":{"50256":-100}}`},
	{"/presence_penalty", `{@,"presence_penalty":2.1}`},
	{"/frequency_penalty", `{@,"frequency_penalty":-3}`},
	{"/prediction", `{@,"prediction":{"type":"content","content":"x"}}`},
	{"/audio", `{@,"audio":{"voice":"x"}}`},
	{"/modalities", `{@,"modalities":["text","audio"]}`},
	{"/verbosity", `{@,"verbosity":"low"}`},
	{"/store", `{@,"store":true}`},
	{"/user", `{@,"user":"u-1"}`},
	{"/safety_identifier", `{@,"safety_identifier":"u-1"}`},
	{"/metadata", `{@,"metadata":{"a":"b"}}`},
	{"/web_search_options", `{@,"web_search_options":{"user_location":{}}}`},
	{"/functions", `{@,"functions":[{"name":"f"}]}`},
	{"/top_k", `{@,"top_k":0}`},
	{"/temperature", `{@,"temperature":2.5}`},
	{"/temperature", `{@,"temperature":-0.1}`},
	{"/top_p", `{@,"top_p":"1"}`},
	{"/max_tokens", `{@,"max_tokens":0}`},
	{"/max_tokens", `{@,"max_tokens":1.5}`},
	{"/max_completion_tokens", `{@,"max_tokens":1,"max_completion_tokens":2}`},
	{"/stop", `{@,"stop":["a","b","c","d","e","f"]}`},
	{"/stop/1", `{@,"stop":["a",""]}`},
	{"/stop/0", `{@,"stop":[1]}`},
	{"/stop", `{@,"stop":1}`},
	{"/reasoning_effort", `{@,"reasoning_effort":"xhigh"}`},
	{"/service_tier", `{@,"service_tier":"scale"}`},
	{"/response_format/type", `{@,"response_format":{"type":"grammar"}}`},
	{"/response_format/json_schema", `{@,"response_format":{"type":"json_schema"}}`},
	{"/response_format/json_schema/schema", `{@,"response_format":{"type":"json_schema","json_schema":{"name":"n"}}}`},
	{"/response_format/json_schema/description", `{@,"response_format":{"type":"json_schema","json_schema":{"name":"n","description":"a","schema":{"description":"b"}}}}`},
	{"/tools/0/custom", `{@,"tools":[{"type":"custom","custom":{"name":"f"}}]}`},
	{"/tools/0/type", `{@,"tools":[{"type":"web_search"}]}`},
	{"/tools/0/function/name", `{@,"tools":[{"type":"function","function":{}}]}`},
	{"/tools/0/function/strict", `{@,"tools":[{"type":"function","function":{"name":"f","strict":"yes"}}]}`},
	{"/tools/0/function/parameters", `{@,"tools":[{"type":"function","function":{"name":"f","parameters":[1]}}]}`},
	{"/tools/0/function/other", `{@,"tools":[{"type":"function","function":{"name":"f","other":1}}]}`},
	{"/tool_choice", `{@,"tool_choice":"required"}`},
	{"/tool_choice", `{@,"tool_choice":"maybe","tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/tool_choice", `{@,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"f"}}]}}}`},
	{"/tool_choice/type", `{@,"tool_choice":{"type":"custom"},"tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/tool_choice", `{@,"tool_choice":7,"tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/tool_choice/allowed_tools", `{@,"tool_choice":{"type":"allowed_tools"},"tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/tool_choice/allowed_tools/mode", `{@,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"none","tools":[{}]}},"tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/tool_choice/allowed_tools/mode", `{@,"tool_choice":{"type":"allowed_tools","allowed_tools":{"tools":[{}]}},"tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/tool_choice/allowed_tools/tools", `{@,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto"}},"tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/tool_choice/allowed_tools/tools", `{@,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}},"tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/tool_choice/allowed_tools/tools/0/type", `{@,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{}]}},"tools":[{"type":"function","function":{"name":"f"}}]}`},
	{"/parallel_tool_calls", `{@,"parallel_tool_calls":"no"}`},
	{"/parallel_tool_calls", `{@,"parallel_tool_calls":false,"tools":[{"type":"function","function":{"name":"f"}}]}`},
}

func TestWhatGeminiCannotSayIsRefused(t *testing.T) {
	t.Parallel()
	providertest.Refuses(t, providers.ChatCompletions, refusals, open, gemini.Check)
}

func TestOtherEndpointsAreRefused(t *testing.T) {
	t.Parallel()
	providertest.RefusesEndpoint(t, "/v1/audio/speech", gemini.Check)
}

func TestBodiesThatAreNoObjectAreRefused(t *testing.T) {
	t.Parallel()
	for _, endpoint := range gemini.Endpoints() {
		providertest.RefusesNoObject(t, endpoint, open)
	}
}
