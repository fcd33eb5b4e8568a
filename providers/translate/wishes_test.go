package translate_test

import "github.com/penstock-dev/penstock/providers"

const (
	chatTool     = `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]`
	responseTool = `"tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]`
	messageTool  = `"tools":[{"name":"f","input_schema":{"type":"object"}}]`
	geminiTool   = `"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}}]`
)

// wishes are by endpoint. What is said in openai is of a server that has chat
// completions and embeddings alone.
var wishes = map[string][]wish{
	providers.ChatCompletions: {
		{`"model":"n"`, `"model":"m"`, `"model":"m"`, ours, ""}, // the target's; Gemini has it in the path
		{`"messages":[{"role":"user","content":"Ho"}]`, asItIs, `"text":"Ho"`, `"text":"Ho"`, ""},
		{`"audio":{"voice":"x","format":"wav"}`, asItIs, refused, refused, ""},
		{`"frequency_penalty":0.5`, asItIs, refused, `"frequencyPenalty":0.5`, ""},
		{`"function_call":"auto"`, asItIs, refused, refused, ""},
		{`"functions":[{"name":"f"}]`, asItIs, refused, refused, ""},
		{`"logit_bias":{"5":1}`, asItIs, refused, refused, ""},
		{`"logprobs":true`, asItIs, refused, `"responseLogprobs":true`, ""},
		{`"max_completion_tokens":9`, asItIs, `"max_tokens":9`, `"maxOutputTokens":9`, ""},
		{`"max_tokens":9`, asItIs, asItIs, `"maxOutputTokens":9`, ""},
		{`"metadata":{"a":"b"}`, asItIs, refused, refused, ""},
		{`"modalities":["text","audio"]`, asItIs, refused, refused, ""},
		{`"moderation":{"model":"x"}`, asItIs, refused, refused, ""},
		{`"n":2`, asItIs, refused, `"candidateCount":2`, ""},
		{`"parallel_tool_calls":false,` + chatTool, `"parallel_tool_calls":false`, `"disable_parallel_tool_use":true`, refused, ""},
		{`"prediction":{"type":"content","content":"x"}`, asItIs, refused, refused, ""},
		{`"presence_penalty":0.5`, asItIs, refused, `"presencePenalty":0.5`, ""},
		{`"prompt_cache_key":"k"`, asItIs, refused, refused, ""},
		{`"prompt_cache_options":{"mode":"explicit"}`, asItIs, refused, refused, ""},
		{`"prompt_cache_retention":"24h"`, asItIs, refused, refused, ""},
		{`"reasoning_effort":"high"`, asItIs, `"effort":"high"`, `"thinkingLevel":"HIGH"`, ""},
		{
			`"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}}`, asItIs,
			`"format":{"type":"json_schema","schema":{"title":"n","type":"object"}}`, `"responseJsonSchema":{"title":"n","type":"object"}`, "",
		},
		{`"safety_identifier":"u"`, asItIs, `"metadata":{"user_id":"u"}`, refused, ""},
		{`"seed":7`, asItIs, refused, asItIs, ""},
		{`"service_tier":"default"`, asItIs, `"service_tier":"standard_only"`, `"serviceTier":"standard"`, ""},
		{`"stop":["END"]`, asItIs, `"stop_sequences":["END"]`, `"stopSequences":["END"]`, ""},
		{`"store":true`, asItIs, refused, refused, ""},
		{`"stream":false`, ours, ours, ours, ""},
		{`"stream_options":{"include_usage":false}`, ours, ours, ours, ""},
		{`"temperature":0.5`, asItIs, asItIs, asItIs, ""},
		{
			`"tool_choice":"required",` + chatTool, `"tool_choice":"required"`, `"tool_choice":{"type":"any"}`,
			`"functionCallingConfig":{"mode":"ANY"}`, "",
		},
		{chatTool, asItIs, `"tools":[{"name":"f","input_schema":{"type":"object"}}]`, geminiTool, ""},
		{`"top_logprobs":2`, asItIs, refused, refused, ""},
		{`"logprobs":true,"top_logprobs":2`, `"top_logprobs":2`, refused, `"logprobs":2`, ""},
		{`"top_p":0.5`, asItIs, asItIs, `"topP":0.5`, ""},
		{`"user":"u"`, asItIs, `"metadata":{"user_id":"u"}`, refused, ""},
		{`"verbosity":"low"`, asItIs, refused, refused, ""},
		{`"web_search_options":{}`, asItIs, refused, refused, ""},

		{`"messages":[{"role":"user","content":"Ho","name":"n"}]`, asItIs, refused, refused, "/messages/0/name"},
		{
			`"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://x/a.png","detail":"low"}}]}]`,
			asItIs, refused, refused, "/messages/0/content/0/image_url/detail",
		},
		{
			`"tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"g"}}]`, asItIs, refused, refused,
			"/tools/1/custom",
		},
	},
	providers.Embeddings: {
		{`"model":"n"`, `"model":"m"`, refused, `"model":"models/m"`, ""},
		{`"input":["Ho"]`, asItIs, refused, `"text":"Ho"`, ""},
		{`"input":[1,2]`, asItIs, refused, refused, "/input/0"},
		{`"dimensions":8`, asItIs, refused, `"outputDimensionality":8`, ""},
		{`"encoding_format":"base64"`, asItIs, refused, ours, ""}, // its answer is written so: see package gemini
		{`"user":"u"`, asItIs, refused, refused, ""},
	},
	providers.Responses: {
		{`"model":"n"`, `"model":"m"`, `"model":"m"`, ours, ""},
		{`"input":"Ho"`, `"content":"Ho"`, `"text":"Ho"`, `"text":"Ho"`, ""},
		{`"access_programs":["x"]`, refused, refused, refused, ""},
		{`"background":true`, refused, refused, refused, ""},
		{`"context_management":[{"type":"compaction"}]`, refused, refused, refused, ""},
		{`"conversation":"c"`, refused, refused, refused, ""},
		{`"include":["message.output_text.logprobs"]`, refused, refused, refused, ""},
		{`"instructions":"S"`, `{"content":"S","role":"system"}`, `"system":[{"type":"text","text":"S"}]`, `"systemInstruction":{"parts":[{"text":"S"}]}`, ""},
		{`"max_output_tokens":9`, `"max_tokens":9`, `"max_tokens":9`, `"maxOutputTokens":9`, ""},
		{`"max_tool_calls":3`, refused, refused, refused, ""},
		{`"metadata":{"a":"b"}`, ours, ours, ours, ""},
		{`"moderation":{"model":"x"}`, refused, refused, refused, ""},
		{`"parallel_tool_calls":false,` + responseTool, `"parallel_tool_calls":false`, `"disable_parallel_tool_use":true`, refused, ""},
		{`"previous_response_id":"r"`, refused, refused, refused, ""},
		{`"prompt":{"id":"p"}`, refused, refused, refused, ""},
		{`"prompt_cache_key":"k"`, asItIs, refused, refused, ""},
		{`"prompt_cache_options":{"mode":"explicit"}`, refused, refused, refused, ""},
		{`"prompt_cache_retention":"24h"`, refused, refused, refused, ""},
		{`"reasoning":{"effort":"high"}`, `"reasoning_effort":"high"`, `"effort":"high"`, `"thinkingLevel":"HIGH"`, ""},
		{`"reasoning":{"effort":"high","summary":"auto"}`, refused, refused, refused, "/reasoning/summary"},
		{`"safety_identifier":"u"`, asItIs, `"metadata":{"user_id":"u"}`, refused, ""},
		{`"service_tier":"default"`, asItIs, `"service_tier":"standard_only"`, `"serviceTier":"standard"`, ""},
		{`"store":true`, refused, refused, refused, ""},
		{`"stream":false`, ours, ours, ours, ""},
		{`"stream_options":{"include_obfuscation":false}`, ours, ours, ours, ""},
		{`"temperature":0.5`, asItIs, asItIs, asItIs, ""},
		{
			`"text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"}}}`, `"json_schema":{"name":"n","schema":{"type":"object"}}`,
			`"format":{"type":"json_schema","schema":{"title":"n","type":"object"}}`, `"responseJsonSchema":{"title":"n","type":"object"}`, "",
		},
		{`"text":{"verbosity":"low"}`, `"verbosity":"low"`, refused, refused, "/text/verbosity"},
		{
			`"tool_choice":"required",` + responseTool, `"tool_choice":"required"`, `"tool_choice":{"type":"any"}`,
			`"functionCallingConfig":{"mode":"ANY"}`, "",
		},
		{responseTool, `"function":{"name":"f","parameters":{"type":"object"}}`, `"tools":[{"name":"f","input_schema":{"type":"object"}}]`, geminiTool, ""},
		{`"top_logprobs":2`, refused, refused, refused, ""},
		{`"top_p":0.5`, asItIs, asItIs, `"topP":0.5`, ""},
		{`"truncation":"auto"`, refused, refused, refused, ""},
		{`"user":"u"`, asItIs, `"metadata":{"user_id":"u"}`, refused, ""},

		{`"tools":[{"type":"web_search"}]`, refused, refused, refused, "/tools/0/type"},
		{`"input":[{"role":"assistant","content":"Ho","phase":"commentary"},{"role":"user","content":"x"}]`, refused, refused, refused, "/input/0/phase"},
	},
	providers.Messages: {
		{`"model":"n"`, `"model":"m"`, `"model":"m"`, ours, ""},
		{`"messages":[{"role":"user","content":"Ho"}]`, `"content":"Ho"`, asItIs, `"text":"Ho"`, ""},
		{`"cache_control":{"type":"ephemeral"}`, refused, asItIs, refused, ""},
		{`"compaction":{}`, refused, asItIs, refused, ""},
		{`"container":"c"`, refused, asItIs, refused, ""},
		{`"context_management":{"edits":[]}`, refused, asItIs, refused, ""},
		{`"diagnostics":{}`, refused, asItIs, refused, ""},
		{`"fallback_credit_token":"x"`, refused, asItIs, refused, ""},
		{`"fallbacks":[{"model":"x"}]`, refused, asItIs, refused, ""},
		{`"inference_geo":"us"`, refused, asItIs, refused, ""},
		{`"max_tokens":9`, asItIs, asItIs, `"maxOutputTokens":9`, ""},
		{`"mcp_servers":[{"type":"url"}]`, refused, asItIs, refused, ""},
		{`"metadata":{"user_id":"u"}`, `"user":"u"`, asItIs, refused, "/metadata/user_id"},
		{`"output_config":{"effort":"high"}`, `"reasoning_effort":"high"`, asItIs, `"thinkingLevel":"HIGH"`, ""},
		{
			`"output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}}`, `"schema":{"type":"object"}`, asItIs,
			`"responseJsonSchema":{"title":"answer","type":"object"}`, "",
		},
		{`"output_format":{"type":"json_schema","schema":{}}`, refused, asItIs, refused, ""},
		{`"service_tier":"standard_only"`, `"service_tier":"default"`, asItIs, `"serviceTier":"standard"`, ""},
		{`"speed":"fast"`, refused, asItIs, refused, ""},
		{`"stop_sequences":["END"]`, `"stop":["END"]`, asItIs, `"stopSequences":["END"]`, ""},
		{`"stream":false`, ours, ours, ours, ""},
		{`"system":"S"`, `{"content":"S","role":"system"}`, asItIs, `"systemInstruction":{"parts":[{"text":"S"}]}`, ""},
		{`"temperature":0.5`, asItIs, asItIs, asItIs, ""},
		{`"thinking":{"type":"disabled"}`, `"reasoning_effort":"none"`, asItIs, `"thinkingBudget":0`, ""},
		{`"thinking":{"type":"adaptive"}`, refused, asItIs, refused, "/thinking/type"},
		{`"thinking":{"type":"disabled","budget_tokens":5}`, refused, asItIs, refused, "/thinking/budget_tokens"},
		{`"thinking":{"type":"disabled"},"output_config":{"effort":"high"}`, refused, `"output_config":{"effort":"high"}`, refused, ""},
		{`"tool_choice":{"type":"any"},` + messageTool, `"tool_choice":"required"`, `"tool_choice":{"type":"any"}`, `"functionCallingConfig":{"mode":"ANY"}`, ""},
		{`"tool_choice":{"type":"auto","name":"f"},` + messageTool, refused, `"tool_choice":{"type":"auto","name":"f"}`, refused, "/tool_choice/name"},
		{
			`"tool_choice":{"type":"auto","disable_parallel_tool_use":true},` + messageTool, `"parallel_tool_calls":false`,
			`"disable_parallel_tool_use":true`, refused, "/tool_choice/disable_parallel_tool_use",
		},
		{messageTool, `"function":{"name":"f","parameters":{"type":"object"}}`, asItIs, geminiTool, ""},
		{`"top_k":3`, refused, asItIs, refused, ""},
		{`"top_p":0.5`, asItIs, asItIs, `"topP":0.5`, ""},

		{
			`"messages":[{"role":"user","content":[{"type":"image","title":"t","source":{"type":"url","url":"https://x/a.png"}}]}]`,
			refused, asItIs, refused, "/messages/0/content/0/title",
		},
		{
			`"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://x/a.png","media_type":"image/png"}}]}]`,
			refused, asItIs, refused, "/messages/0/content/0/source/media_type",
		},
		{
			`"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA","url":"https://x"}}]}]`,
			refused, asItIs, refused, "/messages/0/content/0/source/url",
		},
		{
			`"messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AA"},"citations":{"enabled":true}}]}]`,
			refused, asItIs, refused, "/messages/0/content/0/citations",
		},
	},
}
