package providertest

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// Responses is the wire of OpenAI's Responses.
func Responses() Wire {
	return Wire{
		Request: providers.Request{
			Endpoint: providers.Responses,
			Model:    "gpt-test",
			Body:     json.RawMessage(`{"model":"default","input":"` + Prompt + `"}`),
		},
		Answers:   responsesAnswers(),
		Failures:  append(openAIStatuses(), responsesBroken()...),
		Slow:      responsesSlow(),
		SlowFirst: 30 * time.Second,
		SlowNext:  10 * time.Second,
	}
}

const (
	responseHead = `"id":"resp_1","object":"response","created_at":1700000000,"model":"gpt-test-1","parallel_tool_calls":true,` +
		`"tool_choice":"auto","tools":[],"error":null,`
	responseUsage = `"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4},"output_tokens":2,` +
		`"output_tokens_details":{"reasoning_tokens":1},"total_tokens":11}`
	helloOutput = `"output":[{"id":"rs_1","type":"reasoning","summary":[]},{"id":"msg_1","type":"message","role":"assistant",` +
		`"status":"completed","content":[{"type":"output_text","text":"Hello world","annotations":[],"logprobs":[]}]}],`
	begunResponse   = `{` + responseHead + `"status":"in_progress","incomplete_details":null,"output":[],"usage":null}`
	helloResponse   = `{` + responseHead + `"status":"completed","incomplete_details":null,` + helloOutput + responseUsage + `}`
	cutResponse     = `{` + responseHead + `"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},` + helloOutput + responseUsage + `}`
	createdEvent    = `{"type":"response.created","sequence_number":0,"response":` + begunResponse + `}`
	inProgressEvent = `{"type":"response.in_progress","sequence_number":1,"response":` + begunResponse + `}`
	itemEvent       = `{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"msg_1","type":"message","content":[]}}`
	helloDelta      = `{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"Hello"}`
	worldDelta      = `{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","output_index":0,"content_index":0,"delta":" world"}`
	textDoneEvent   = `{"type":"response.output_text.done","sequence_number":5,"item_id":"msg_1","output_index":0,"content_index":0,"text":"Hello world"}`
)

// endResponse is a terminal event with that response.
func endResponse(kind, response string) string {
	return `{"type":"response.` + kind + `","sequence_number":6,"response":` + response + `}`
}

// inResponse replaces a part of the whole response.
func inResponse(old, with string) string { return strings.Replace(helloResponse, old, with, 1) }

// responseEvents is a reply of named events, with the header that OpenAI names a
// call in.
func responseEvents(data ...string) Reply {
	reply := Events(data...)
	delete(reply.Header, "Request-Id")
	reply.Header["X-Request-Id"] = "req_1"
	return reply
}

func helloStream(end string) Reply {
	return responseEvents(createdEvent, inProgressEvent, itemEvent, helloDelta, worldDelta, textDoneEvent, end)
}

func responsesAnswers() []Answer {
	streamed := helloStream(endResponse("completed", helloResponse))
	crlf := streamed
	crlf.Pieces = []Piece{{Text: strings.ReplaceAll(joined(streamed), "\n", "\r\n")}}
	bytewise := streamed
	bytewise.Pieces = nil
	for _, b := range []byte(joined(streamed)) {
		bytewise.Pieces = append(bytewise.Pieces, Piece{Text: string(b)})
	}
	nameless := Stream(createdEvent, inProgressEvent, itemEvent, helloDelta, worldDelta, textDoneEvent,
		endResponse("completed", helloResponse), done)
	novel := responseEvents(createdEvent, `{"type":"response.novelty","sequence_number":1}`, helloDelta, worldDelta,
		endResponse("completed", helloResponse))
	cut := openAIWant
	cut.FinishReason = "length"
	calls := openAIWant
	calls.FinishReason = "tool_calls"
	calling := inResponse(`{"id":"rs_1","type":"reasoning","summary":[]}`,
		`{"id":"fc_1","type":"function_call","call_id":"call_1","name":"f","arguments":"{}","status":"completed"}`)
	return []Answer{
		{Name: "streamed", Reply: streamed, Want: openAIWant, Body: helloResponse, Chunks: 7},
		{Name: "streamed with CRLF", Reply: crlf, Want: openAIWant, Body: helloResponse, Chunks: 7},
		{Name: "streamed byte by byte", Reply: bytewise, Want: openAIWant, Body: helloResponse, Chunks: 7},
		{Name: "streamed without names", Reply: nameless, Want: openAIWant, Body: helloResponse, Chunks: 7},
		{Name: "streamed with events to come", Reply: novel, Want: openAIWant, Body: helloResponse, Chunks: 5},
		{
			Name: "incomplete at its bound", Reply: helloStream(endResponse("incomplete", cutResponse)),
			Want: cut, Body: cutResponse, Chunks: 7,
		},
		{
			Name: "incomplete, said as completed", Reply: helloStream(endResponse("completed", cutResponse)),
			Want: cut, Body: cutResponse, Chunks: 7,
		},
		{Name: "calls a tool", Reply: helloStream(endResponse("completed", calling)), Want: calls, Body: calling, Chunks: 7},
		{Name: "whole though asked for a stream", Reply: Whole(200, helloResponse), Want: openAIWant, Body: helloResponse},
	}
}

func responsesSlow() Reply {
	slow := helloStream(endResponse("completed", helloResponse))
	slow.Pieces[3].After = 30 * time.Second
	slow.Pieces[4].After = 10 * time.Second
	return slow
}

// responsesBroken are replies that begin as responses and are none.
func responsesBroken() []Failure {
	began := func(class providers.Class, partial string) providers.Error {
		return providers.Error{Class: class, HTTPStatus: 200, RequestID: "req_1", Partial: partial}
	}
	spent := func(class providers.Class, partial string) providers.Error {
		err := began(class, partial)
		err.Usage = openAIUsage
		return err
	}
	cut := func(reply Reply) Reply {
		reply.End = Cut
		return reply
	}
	begun := func(more ...string) Reply {
		return responseEvents(append([]string{createdEvent, helloDelta}, more...)...)
	}
	failed := func(code string) string {
		return endResponse("failed", strings.NewReplacer(`"in_progress"`, `"failed"`, `"error":null`,
			`"error":{"code":"`+code+`","message":"x"}`).Replace(begunResponse))
	}
	filtered := strings.Replace(cutResponse, "max_output_tokens", "content_filter", 1)
	named := begun()
	named.Pieces = append(named.Pieces, Piece{Text: "event: error\ndata: it broke\n\n"})
	return []Failure{
		{"stream cut", cut(begun()), began(providers.Truncated, "Hello")},
		{"stream ended early", begun(), began(providers.Truncated, "Hello")},
		{"stream without terminal event", begun(worldDelta, textDoneEvent), began(providers.Truncated, "Hello world")},
		{"stream ended as chat completions are", Stream(createdEvent, helloDelta, done), began(providers.Truncated, "Hello")},
		{
			"stream without finish reason", begun(endResponse("incomplete",
				strings.Replace(cutResponse, `{"reason":"max_output_tokens"}`, "null", 1))),
			spent(providers.Truncated, "Hello world"),
		},
		{"stream ended in the middle", begun(endResponse("completed", begunResponse)), began(providers.Truncated, "Hello")},
		{"stream of nothing", responseEvents(endResponse("completed", inResponse(helloOutput, `"output":[],`))), spent(providers.Malformed, "")},
		{"stream of comments", commentsOnly(), began(providers.Truncated, "")},
		{
			"stream with text that its end lacks",
			begun(endResponse("completed", inResponse(`"text":"Hello world"`, `"text":""`))), spent(providers.Malformed, "Hello"),
		},
		{"malformed chunk", begun(`{"type":"respon`), began(providers.Malformed, "Hello")},
		{"chunk that is no object", begun(`[1]`), began(providers.Malformed, "Hello")},
		{"chunk of another shape", begun(endResponse("completed", `{"output":7}`)), began(providers.Malformed, "Hello")},
		{"terminal event of nothing", begun(`{"type":"response.completed"}`), began(providers.Malformed, "Hello")},
		{
			"error in the stream", begun(`{"type":"error","code":"server_error","message":"x","param":null}`),
			began(providers.ServerError, "Hello"),
		},
		{"error as an object", begun(`{"error":{"code":"rate_limit_exceeded","message":"x"}}`), began(providers.RateLimited, "Hello")},
		{"overload in the stream", begun(`{"type":"error","code":"service_unavailable"}`), began(providers.Overloaded, "Hello")},
		{"error as named event", named, began(providers.ServerError, "Hello")},
		{"failed", begun(failed("server_error")), began(providers.ServerError, "Hello")},
		{"failed at the limit", begun(failed("rate_limit_exceeded")), began(providers.RateLimited, "Hello")},
		{"failed over the prompt", begun(failed("invalid_prompt")), began(providers.ContentFiltered, "Hello")},
		{"failed over an image", begun(failed("invalid_image_format")), began(providers.BadRequest, "Hello")},
		{
			"failed without a word", begun(endResponse("failed", strings.Replace(begunResponse, "in_progress", "failed", 1))),
			began(providers.ServerError, "Hello"),
		},
		{"cancelled", begun(endResponse("completed", inResponse(`"completed"`, `"cancelled"`))), spent(providers.Truncated, "Hello world")},
		{"finish reason content_filter", begun(endResponse("incomplete", filtered)), spent(providers.ContentFiltered, "Hello world")},
		{"empty 200", Whole(200, ""), began(providers.Malformed, "")},
		{"empty stream", Reply{Header: responseEvents().Header}, began(providers.Malformed, "")},
		{"white space", Whole(200, " \n\n"), began(providers.Malformed, "")},
		{"HTML", page(), began(providers.Malformed, "")},
		{"null", Whole(200, "null"), began(providers.Malformed, "")},
		{"whole body broken off", Whole(200, helloResponse[:len(helloResponse)/2]), began(providers.Malformed, "")},
		{"whole body cut", cut(Whole(200, helloResponse[:len(helloResponse)/2])), began(providers.Truncated, "")},
		{"whole of another kind", Whole(200, helloBody), began(providers.Malformed, "")},
		{"whole in the background", Whole(200, strings.Replace(begunResponse, "in_progress", "queued", 1)), began(providers.Truncated, "")},
		{
			"whole without finish reason", Whole(200, inResponse(`"status":"completed","incomplete`, `"status":"incomplete","incomplete`)),
			spent(providers.Truncated, "Hello world"),
		},
		{"error in a 200", Whole(200, `{"error":{"message":"x","code":"rate_limit_exceeded"}}`), began(providers.RateLimited, "")},
		{"connection cut before the answer", Reply{End: Cut}, providers.Error{Class: providers.Connection}},
	}
}
