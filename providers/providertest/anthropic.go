package providertest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// Anthropic is the wire of Anthropic's Messages, for a provider that translates
// chat completions to it.
func Anthropic() Wire {
	return Wire{
		Request: providers.Request{
			Endpoint: providers.ChatCompletions,
			Model:    "claude-test",
			Body:     json.RawMessage(`{"model":"default","messages":[{"role":"user","content":"` + Prompt + `"}]}`),
		},
		Answers:   anthropicAnswers(),
		Failures:  append(anthropicStatuses(), anthropicBroken()...),
		Slow:      anthropicSlow(),
		SlowFirst: 30 * time.Second,
		SlowNext:  10 * time.Second,
	}
}

// Events is a reply of named server-sent events, one for each of data, named as
// their type says. That is how Messages streams.
func Events(data ...string) Reply {
	reply := Reply{Header: map[string]string{"Content-Type": "text/event-stream", "Request-Id": "req_1"}}
	for _, d := range data {
		var named struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal([]byte(d), &named) // what is no JSON has no name
		reply.Pieces = append(reply.Pieces, Piece{Text: "event: " + named.Type + "\ndata: " + d + "\n\n"})
	}
	return reply
}

const (
	startEvent = `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-test-1",` +
		`"content":[],"stop_reason":null,"stop_sequence":null,` +
		`"usage":{"input_tokens":3,"cache_creation_input_tokens":2,"cache_read_input_tokens":4,"output_tokens":1}}}`
	pingEvent      = `{"type":"ping"}`
	textStartEvent = `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`
	helloEvent     = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}}`
	worldEvent     = `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" world"}}`
	textStopEvent  = `{"type":"content_block_stop","index":0}`
	endTurnEvent   = `{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},` +
		`"usage":{"output_tokens":5,"output_tokens_details":{"thinking_tokens":3}}}`
	messageStopEvent = `{"type":"message_stop"}`

	messageUsage = `{"input_tokens":3,"cache_creation_input_tokens":2,"cache_read_input_tokens":4,"output_tokens":5,` +
		`"output_tokens_details":{"thinking_tokens":3}}`
	helloMessage = `{"id":"msg_1","type":"message","role":"assistant","model":"claude-test-1",` +
		`"content":[{"type":"text","text":"Hello world"}],"stop_reason":"end_turn","stop_sequence":null,"usage":` + messageUsage + `}`
	// helloCompletion was created when the bubble of a test begins.
	helloCompletion = `{"id":"msg_1","object":"chat.completion","created":946684800,"model":"claude-test-1","choices":[` +
		`{"index":0,"message":{"role":"assistant","content":"Hello world","refusal":null},"logprobs":null,` +
		`"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,` +
		`"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}`
)

var (
	anthropicUsage = providers.Usage{Known: true, InputTokens: 9, OutputTokens: 5, CachedTokens: 4, ReasoningTokens: 3}
	anthropicBegun = providers.Usage{Known: true, InputTokens: 9, OutputTokens: 1, CachedTokens: 4}
	anthropicWant  = providers.Response{
		Model: "claude-test-1", FinishReason: "stop", Usage: anthropicUsage, HTTPStatus: 200, RequestID: "req_1",
	}
)

// hello is the streamed answer.
func hello() Reply {
	return Events(startEvent, textStartEvent, pingEvent, helloEvent, worldEvent, textStopEvent, endTurnEvent, messageStopEvent)
}

func anthropicAnswers() []Answer {
	crlf := hello()
	crlf.Pieces = []Piece{{Text: strings.ReplaceAll(joined(hello()), "\n", "\r\n")}}
	bytewise := hello()
	bytewise.Pieces = nil
	for _, b := range []byte(joined(hello())) {
		bytewise.Pieces = append(bytewise.Pieces, Piece{Text: string(b)})
	}
	noisy := hello()
	noisy.Pieces = []Piece{{Text: "\n: waiting\n\nevent: novelty\ndata: {\"type\":\"novelty\"}\n\n" + joined(hello())}}
	nameless := hello()
	nameless.Pieces = nil
	for line := range strings.Lines(joined(hello())) {
		if !strings.HasPrefix(line, "event:") {
			nameless.Pieces = append(nameless.Pieces, Piece{Text: line})
		}
	}
	return []Answer{
		{Name: "streamed", Reply: hello(), Want: anthropicWant, Body: helloCompletion, Chunks: 5},
		{Name: "streamed with CRLF", Reply: crlf, Want: anthropicWant, Body: helloCompletion, Chunks: 5},
		{Name: "streamed byte by byte", Reply: bytewise, Want: anthropicWant, Body: helloCompletion, Chunks: 5},
		{Name: "streamed with events to come", Reply: noisy, Want: anthropicWant, Body: helloCompletion, Chunks: 5},
		{Name: "streamed without names", Reply: nameless, Want: anthropicWant, Body: helloCompletion, Chunks: 5},
		{Name: "thought about first", Reply: thoughtful(), Want: anthropicWant, Body: helloCompletion, Chunks: 5},
		{Name: "whole though asked for a stream", Reply: wholeMessage(200, helloMessage), Want: anthropicWant, Body: helloCompletion},
	}
}

// thoughtful is the same answer after a thought.
func thoughtful() Reply {
	later := func(event string) string { return strings.Replace(event, `"index":0`, `"index":1`, 1) }
	return Events(startEvent,
		`{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm."}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}`,
		textStopEvent, later(textStartEvent), later(helloEvent), later(worldEvent), later(textStopEvent),
		endTurnEvent, messageStopEvent)
}

// wholeMessage is a reply of one JSON body, with the header that Anthropic
// names a call in.
func wholeMessage(status int, body string) Reply {
	reply := Whole(status, body)
	delete(reply.Header, "X-Request-Id")
	reply.Header["Request-Id"] = "req_1"
	return reply
}

func anthropicSlow() Reply {
	slow := hello()
	slow.Pieces[3].After = 30 * time.Second
	slow.Pieces[4].After = 10 * time.Second
	return slow
}

// anthropicBroken are replies that begin as answers and are none.
func anthropicBroken() []Failure {
	began := func(class providers.Class, partial string) providers.Error {
		return providers.Error{Class: class, HTTPStatus: 200, RequestID: "req_1", Partial: partial, Usage: anthropicBegun}
	}
	spent := func(class providers.Class, partial string) providers.Error {
		err := began(class, partial)
		err.Usage = anthropicUsage
		return err
	}
	blank := func(class providers.Class) providers.Error {
		return providers.Error{Class: class, HTTPStatus: 200, RequestID: "req_1"}
	}
	cut := func(reply Reply) Reply {
		reply.End = Cut
		return reply
	}
	ending := func(stop string) string { return strings.Replace(endTurnEvent, `"end_turn"`, stop, 1) }
	ended := func(stop string) Reply {
		return Events(startEvent, textStartEvent, helloEvent, textStopEvent, ending(stop), messageStopEvent)
	}
	whole := func(old, with string) Reply {
		return wholeMessage(200, strings.Replace(helloMessage, old, with, 1))
	}
	inStream := func(kind string) Reply {
		return Events(startEvent, textStartEvent, helloEvent, `{"type":"error","error":{"type":"`+kind+`","message":"x"}}`)
	}
	plain := Events(startEvent, textStartEvent, helloEvent)
	plain.Pieces = append(plain.Pieces, Piece{Text: "event: error\ndata: it broke\n\n"})
	html := page()
	delete(html.Header, "X-Request-Id")
	html.Header["Request-Id"] = "req_1"
	return []Failure{
		{"stream cut", cut(Events(startEvent, textStartEvent, helloEvent)), began(providers.Truncated, "Hello")},
		{"stream ended early", Events(startEvent, textStartEvent, helloEvent), began(providers.Truncated, "Hello")},
		{
			"stream without terminal event", Events(startEvent, textStartEvent, helloEvent, textStopEvent, endTurnEvent),
			spent(providers.Truncated, "Hello"),
		},
		{"stream without finish reason", ended(`null`), spent(providers.Truncated, "Hello")},
		{"stream of nothing", Events(messageStopEvent), blank(providers.Malformed)},
		{"stream of comments", asAnthropic(commentsOnly()), blank(providers.Truncated)},
		{"stream of pings", Events(pingEvent, pingEvent), blank(providers.Truncated)},
		{"stream of two messages", Events(startEvent, startEvent), began(providers.Malformed, "")},
		{"stream with an open block", Events(startEvent, textStartEvent, helloEvent, endTurnEvent, messageStopEvent), spent(providers.Malformed, "Hello")},
		{"piece of no block", Events(startEvent, helloEvent), began(providers.Malformed, "")},
		{
			"block of an unknown kind",
			Events(startEvent, `{"type":"content_block_start","index":0,"content_block":{"type":"hologram"}}`),
			began(providers.Malformed, ""),
		},
		{"malformed chunk", Events(startEvent, textStartEvent, helloEvent, `{"type":"content_bl`), began(providers.Malformed, "Hello")},
		{"chunk that is no object", Events(startEvent, textStartEvent, helloEvent, `[1]`), began(providers.Malformed, "Hello")},
		{
			"chunk of another shape", Events(startEvent, textStartEvent, helloEvent, `{"type":"content_block_delta","delta":7}`),
			began(providers.Malformed, "Hello"),
		},
		{"arguments broken off", brokenArguments(), spent(providers.Malformed, "")},
		{"error in the stream", inStream("api_error"), began(providers.ServerError, "Hello")},
		{"overload in the stream", inStream("overloaded_error"), began(providers.Overloaded, "Hello")},
		{"error as named event", plain, began(providers.ServerError, "Hello")},
		{"finish reason content_filter", ended(`"refusal"`), spent(providers.ContentFiltered, "Hello")},
		{"pause", ended(`"pause_turn"`), spent(providers.Truncated, "Hello")},
		{"unknown stop reason", ended(`"sunset"`), spent(providers.Malformed, "Hello")},
		{"empty 200", wholeMessage(200, ""), blank(providers.Malformed)},
		{"empty stream", Reply{Header: Events().Header}, blank(providers.Malformed)},
		{"white space", wholeMessage(200, " \n\n"), blank(providers.Malformed)},
		{"HTML", html, blank(providers.Malformed)},
		{"null", wholeMessage(200, "null"), blank(providers.Malformed)},
		{"whole body broken off", wholeMessage(200, helloMessage[:len(helloMessage)/2]), blank(providers.Malformed)},
		{"whole body cut", cut(wholeMessage(200, helloMessage[:len(helloMessage)/2])), blank(providers.Truncated)},
		{"whole without finish reason", whole(`"end_turn"`, "null"), spent(providers.Truncated, "Hello world")},
		{"whole of another kind", whole(`"type":"message"`, `"type":"completion"`), blank(providers.Malformed)},
		{"error in a 200", wholeMessage(200, messagesError("rate_limit_error", "x")), blank(providers.RateLimited)},
		{"connection cut before the answer", Reply{End: Cut}, providers.Error{Class: providers.Connection}},
	}
}

// asAnthropic renames the header that OpenAI names a call in.
func asAnthropic(reply Reply) Reply {
	delete(reply.Header, "X-Request-Id")
	reply.Header["Request-Id"] = "req_1"
	return reply
}

// brokenArguments ends as a tool call whose arguments are no JSON.
func brokenArguments() Reply {
	return Events(startEvent,
		`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}`,
		textStopEvent, strings.Replace(endTurnEvent, `"end_turn"`, `"tool_use"`, 1), messageStopEvent)
}

func messagesError(kind, message string) string {
	inner := map[string]any{"type": kind, "message": message}
	body, _ := json.Marshal(map[string]any{"type": "error", "error": inner, "request_id": "req_1"})
	return string(body)
}

// anthropicStatuses are the errors that have a status of their own.
func anthropicStatuses() []Failure {
	failure := func(name string, status int, body string, class providers.Class) Failure {
		want := providers.Error{Class: class, HTTPStatus: status, RequestID: "req_1"}
		return Failure{fmt.Sprintf("%d %s", status, name), wholeMessage(status, body), want}
	}
	const invalid = "invalid_request_error"
	limit := messagesError("rate_limit_error", "This request would exceed your rate limit")
	reset := func(kind, remaining, at string) map[string]string {
		return map[string]string{
			"Date": "Sat, 01 Jan 2000 00:00:00 GMT",
			"Anthropic-Ratelimit-" + kind + "-Remaining": remaining, "Anthropic-Ratelimit-" + kind + "-Reset": at,
		}
	}
	busy := failure("overloaded", 529, messagesError("overloaded_error", "Overloaded"), providers.Overloaded)
	busy.Reply.Header["Retry-After"], busy.Want.RetryAfter = "3", 3*time.Second
	stays := failure("conflict that stays", 409, "", providers.BadRequest)
	stays.Reply.Header["X-Should-Retry"] = "false"
	failures := []Failure{
		failure("plain", 400, messagesError(invalid, "max_tokens: bad"), providers.BadRequest),
		failure("context length", 400,
			messagesError(invalid, "prompt is too long: 215000 tokens > 200000 maximum"), providers.ContextLength),
		failure("context length with max_tokens", 400,
			messagesError(invalid, "input length and `max_tokens` exceed context limit: 1 + 2 > 3"), providers.ContextLength),
		failure("no credit", 400, messagesError(invalid,
			"Your credit balance is too low to access the Anthropic API."), providers.QuotaExhausted),
		failure("spend limit", 400, messagesError(invalid,
			"You have reached your specified API usage limits. You will regain access on 2000-02-01."), providers.QuotaExhausted),
		failure("content filter", 400, messagesError(invalid, "Output blocked by content filtering policy"), providers.ContentFiltered),
		failure("key", 401, messagesError("authentication_error", "invalid x-api-key"), providers.Authentication),
		failure("no body", 401, "", providers.Authentication),
		failure("no credit", 402, messagesError("billing_error", "pay"), providers.QuotaExhausted),
		failure("permission", 403, messagesError("permission_error", "no"), providers.Permission),
		failure("proxy", 403, messagesError(invalid, "Request not allowed"), providers.Permission),
		failure("model", 404, messagesError("not_found_error", "model: claude-0"), providers.NotFound),
		failure("address", 404, "404 page not found", providers.NotFound),
		failure("timeout of the server", 408, messagesError("timeout_error", "slow"), providers.ServerError),
		failure("conflict", 409, "", providers.ServerError), stays,
		failure("too large", 413, messagesError("request_too_large", "Request exceeds the maximum size"), providers.ContextLength),
		failure("said with the wrong status", 400, messagesError("overloaded_error", "Overloaded"), providers.Overloaded),
		failure("quota", 429, messagesError("billing_error", "pay"), providers.QuotaExhausted),
		failure("plain", 500, messagesError("api_error", "Internal server error"), providers.ServerError),
		failure("bad gateway", 502, "<html>", providers.ServerError),
		failure("unavailable", 503, "", providers.Overloaded),
		failure("gateway timeout", 504, messagesError("timeout_error", "slow"), providers.ServerError),
		busy,
	}
	limits := append(hinted(limit),
		limited("output tokens until their reset", limit, reset("Output-Tokens", "0", "2000-01-01T00:00:40Z"), 40*time.Second),
		limited("requests until their reset", limit, reset("Requests", "0", "2000-01-01T00:00:07Z"), 7*time.Second),
		limited("a limit that has reset", limit, reset("Requests", "0", "1999-12-31T23:59:00Z"), 0))
	for _, f := range limits {
		f.Reply = asAnthropic(f.Reply)
		failures = append(failures, f)
	}
	return failures
}
