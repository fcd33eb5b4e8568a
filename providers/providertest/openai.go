package providertest

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// OpenAI is the wire of OpenAI's chat completions.
func OpenAI() Wire {
	return Wire{
		Request: providers.Request{
			Endpoint: providers.ChatCompletions,
			Model:    "gpt-test",
			Body:     json.RawMessage(`{"model":"default","messages":[{"role":"user","content":"` + Prompt + `"}]}`),
		},
		Answers:   openAIAnswers(),
		Failures:  append(openAIStatuses(), openAIBroken()...),
		Slow:      openAISlow(),
		SlowFirst: 30 * time.Second,
		SlowNext:  10 * time.Second,
	}
}

// Stream is a reply of server-sent events, one for each of data.
func Stream(data ...string) Reply {
	reply := Reply{Header: map[string]string{"Content-Type": "text/event-stream", "X-Request-Id": "req_1"}}
	for _, d := range data {
		reply.Pieces = append(reply.Pieces, Piece{Text: "data: " + d + "\n\n"})
	}
	return reply
}

// Whole is a reply of one JSON body.
func Whole(status int, body string) Reply {
	return Reply{
		Status: status,
		Header: map[string]string{"Content-Type": "application/json", "X-Request-Id": "req_1"},
		Pieces: []Piece{{Text: body}},
	}
}

const (
	chunkHead  = `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-test-1","choices":`
	roleChunk  = chunkHead + `[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}]}`
	helloChunk = chunkHead + `[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]}`
	worldChunk = chunkHead + `[{"index":0,"delta":{"content":" world"},"finish_reason":null}]}`
	stopChunk  = chunkHead + `[{"index":0,"delta":{},"finish_reason":"stop"}]}`
	usageChunk = chunkHead + `[],"usage":` + usageJSON + `}`
	done       = "[DONE]"

	usageJSON = `{"prompt_tokens":9,"completion_tokens":2,"total_tokens":11,` +
		`"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":1}}`
	helloBody = `{"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"gpt-test-1","choices":[` +
		`{"index":0,"message":{"role":"assistant","content":"Hello world","refusal":null},"logprobs":null,` +
		`"finish_reason":"stop"}],"usage":` + usageJSON + `}`
)

var (
	openAIUsage = providers.Usage{Known: true, InputTokens: 9, OutputTokens: 2, CachedTokens: 4, ReasoningTokens: 1}
	openAIWant  = providers.Response{
		Model: "gpt-test-1", FinishReason: "stop", Usage: openAIUsage, HTTPStatus: 200, RequestID: "req_1",
	}
)

func openAIAnswers() []Answer {
	noUsage := openAIWant
	noUsage.Usage = providers.Usage{}
	streamed := Stream(roleChunk, helloChunk, worldChunk, stopChunk, usageChunk, done)
	crlf := streamed
	crlf.Pieces = []Piece{{Text: strings.ReplaceAll(joined(streamed), "\n", "\r\n")}}
	bytewise := streamed
	bytewise.Pieces = nil
	for _, b := range []byte(joined(streamed)) {
		bytewise.Pieces = append(bytewise.Pieces, Piece{Text: string(b)})
	}
	commented := streamed
	commented.Pieces = []Piece{{Text: "\n: waiting\n\nid: 7\nretry: 100\n\n" + joined(streamed)}}
	return []Answer{
		{Name: "streamed", Reply: streamed, Want: openAIWant, Body: helloBody, Chunks: 5},
		{Name: "streamed with CRLF", Reply: crlf, Want: openAIWant, Body: helloBody, Chunks: 5},
		{Name: "streamed byte by byte", Reply: bytewise, Want: openAIWant, Body: helloBody, Chunks: 5},
		{Name: "streamed with comments", Reply: commented, Want: openAIWant, Body: helloBody, Chunks: 5},
		{
			Name:  "streamed without usage",
			Reply: Stream(helloChunk, worldChunk, stopChunk, done),
			Want:  noUsage, Chunks: 3,
			Body: strings.Replace(helloBody, `,"usage":`+usageJSON, "", 1),
		},
		{Name: "whole though asked for a stream", Reply: Whole(200, helloBody), Want: openAIWant, Body: helloBody},
	}
}

func joined(reply Reply) string {
	var all strings.Builder
	for _, piece := range reply.Pieces {
		all.WriteString(piece.Text)
	}
	return all.String()
}

func openAISlow() Reply {
	slow := Stream(helloChunk, worldChunk, stopChunk, done)
	slow.Pieces = append([]Piece{{Text: "data: " + roleChunk + "\n\n"}}, slow.Pieces...)
	slow.Pieces[1].After = 30 * time.Second
	slow.Pieces[2].After = 10 * time.Second
	return slow
}

// openAIBroken are replies that begin as answers and are none.
func openAIBroken() []Failure {
	began := func(class providers.Class, partial string) providers.Error {
		return providers.Error{Class: class, HTTPStatus: 200, RequestID: "req_1", Partial: partial}
	}
	spent := func(err providers.Error) providers.Error {
		err.Usage = openAIUsage
		return err
	}
	cut := func(reply Reply) Reply {
		reply.End = Cut
		return reply
	}
	filtered := strings.Replace(stopChunk, `"stop"`, `"content_filter"`, 1)
	return []Failure{
		{"stream cut", cut(Stream(roleChunk, helloChunk)), began(providers.Truncated, "Hello")},
		{
			"stream cut behind its last choice", cut(Stream(helloChunk, stopChunk)), began(providers.Truncated, "Hello"),
		},
		{"stream ended early", Stream(helloChunk), began(providers.Truncated, "Hello")},
		{
			"stream without terminal event", Stream(helloChunk, stopChunk, usageChunk), spent(began(providers.Truncated, "Hello")),
		},
		{
			"stream without finish reason", Stream(helloChunk, usageChunk, done), spent(began(providers.Truncated, "Hello")),
		},
		{"stream of nothing", Stream(done), began(providers.Malformed, "")},
		{"stream of comments", commentsOnly(), began(providers.Truncated, "")},
		{"stream with usage alone", Stream(usageChunk, done), spent(began(providers.Malformed, ""))},
		{"malformed chunk", Stream(helloChunk, `{"id":"chatc`, done), began(providers.Malformed, "Hello")},
		{"chunk that is no object", Stream(helloChunk, `[1]`, done), began(providers.Malformed, "Hello")},
		{
			"chunk of another shape", Stream(helloChunk, `{"choices":{"a":1}}`, done), began(providers.Malformed, "Hello"),
		},
		{
			"error in the stream", Stream(helloChunk, `{"error":{"message":"x","type":"server_error","code":null}}`),
			began(providers.ServerError, "Hello"),
		},
		{
			"overload in the stream", Stream(helloChunk, `{"error":{"message":"x","code":503}}`, done),
			began(providers.Overloaded, "Hello"),
		},
		{"error as named event", namedError(), began(providers.ServerError, "Hello")},
		{
			"finish reason content_filter", Stream(helloChunk, filtered, usageChunk, done),
			spent(began(providers.ContentFiltered, "Hello")),
		},
		{"empty 200", Whole(200, ""), began(providers.Malformed, "")},
		{"empty stream", Reply{Header: Stream().Header}, began(providers.Malformed, "")},
		{"white space", Whole(200, " \n\n"), began(providers.Malformed, "")},
		{"HTML", page(), began(providers.Malformed, "")},
		{"null", Whole(200, "null"), began(providers.Malformed, "")},
		{"whole body broken off", Whole(200, helloBody[:len(helloBody)/2]), began(providers.Malformed, "")},
		{"whole body cut", cut(Whole(200, helloBody[:len(helloBody)/2])), began(providers.Truncated, "")},
		{
			"whole without finish reason", Whole(200, strings.Replace(helloBody, `"stop"`, "null", 1)),
			spent(began(providers.Truncated, "Hello world")),
		},
		{
			"whole without choices", Whole(200, `{"choices":[],"usage":`+usageJSON+`}`), spent(began(providers.Malformed, "")),
		},
		{
			"whole without message", Whole(200, `{"choices":[{"finish_reason":"stop"}]}`), began(providers.Malformed, ""),
		},
		{
			"error in a 200", Whole(200, `{"error":{"message":"x","code":"rate_limit_exceeded"}}`), began(providers.RateLimited, ""),
		},
		{
			"error object in a 200", Whole(200, `{"object":"error","message":"x","type":"NotFoundError","code":404}`),
			began(providers.NotFound, ""),
		},
		{"connection cut before the answer", Reply{End: Cut}, providers.Error{Class: providers.Connection}},
	}
}

func commentsOnly() Reply {
	reply := Stream()
	reply.Pieces = []Piece{{Text: ": keep-alive\n\n"}}
	return reply
}

func namedError() Reply {
	reply := Stream(helloChunk)
	reply.Pieces = append(reply.Pieces, Piece{Text: "event: error\ndata: it broke\n\n"})
	return reply
}

func page() Reply {
	reply := Whole(200, "<html>maintenance</html>")
	reply.Header["Content-Type"] = "text/html"
	return reply
}

// openAIStatuses are the errors that have a status of their own.
func openAIStatuses() []Failure {
	type with map[string]string
	failure := func(name string, status int, body string, class providers.Class, header ...with) Failure {
		reply := Whole(status, body)
		for _, more := range header {
			maps.Copy(reply.Header, more)
		}
		want := providers.Error{Class: class, HTTPStatus: status, RequestID: "req_1"}
		return Failure{fmt.Sprintf("%d %s", status, name), reply, want}
	}
	waits := func(f Failure, d time.Duration) Failure {
		f.Want.RetryAfter = d
		return f
	}
	said := func(code, kind, message string) string {
		inner := map[string]any{"message": message, "type": kind, "param": nil, "code": code}
		body, _ := json.Marshal(map[string]any{"error": inner})
		return string(body)
	}
	const invalid = "invalid_request_error"
	return append(hinted(said("rate_limit_exceeded", "requests", "slow")), []Failure{
		failure("plain", 400, said("", invalid, "bad"), providers.BadRequest),
		failure("context length", 400, said("context_length_exceeded", invalid, "long"), providers.ContextLength),
		failure("context length in words", 400,
			`{"object":"error","message":"This model's maximum context length is 8 tokens","type":"BadRequestError","code":400}`,
			providers.ContextLength),
		failure("content filter", 400, said("content_filter", invalid, "no"), providers.ContentFiltered),
		failure("key, said with the wrong status", 400,
			said("invalid_api_key", invalid, "no"), providers.Authentication),
		failure("key", 401, said("invalid_api_key", invalid, "no"), providers.Authentication),
		failure("no body", 401, "", providers.Authentication),
		failure("no credit", 402, `{"error":"insufficient balance"}`, providers.QuotaExhausted),
		failure("country", 403,
			said("unsupported_country_region_territory", "request_forbidden", "no"), providers.Permission),
		failure("model", 404, said("model_not_found", invalid, "no"), providers.NotFound),
		failure("no model, said with the wrong status", 400,
			said("model_not_found", invalid, "no"), providers.NotFound),
		failure("address", 404, "404 page not found", providers.NotFound),
		failure("timeout of the server", 408, "", providers.ServerError),
		failure("conflict", 409, "", providers.ServerError),
		failure("conflict that stays", 409, "", providers.BadRequest, with{"X-Should-Retry": "false"}),
		failure("too large", 413, "", providers.ContextLength),
		failure("larger than the limit per minute", 413,
			said("rate_limit_exceeded", "tokens", "Request too large for model"), providers.ContextLength),
		failure("unprocessable", 422, `{"detail":[{"msg":"field required"}]}`, providers.BadRequest),
		failure("refused, but worth a retry", 400, "", providers.ServerError, with{"X-Should-Retry": "true"}),
		waits(failure("reset", 429,
			"", providers.RateLimited, with{"X-Ratelimit-Reset-Tokens": "6m0s"}), 6*time.Minute),
		failure("quota", 429, said("insufficient_quota", "insufficient_quota", "pay"), providers.QuotaExhausted),
		failure("larger than the limit", 429,
			said("rate_limit_exceeded", "tokens", "Request too large for gpt-test on tokens per min"), providers.ContextLength),
		failure("plain", 500, said("", "server_error", "oops"), providers.ServerError),
		failure("bad gateway", 502, "<html>", providers.ServerError),
		waits(failure("unavailable", 503, "", providers.Overloaded, with{"Retry-After": "3"}), 3*time.Second),
		failure("resets of a server that is not limiting", 503,
			"", providers.Overloaded, with{"X-Ratelimit-Reset-Tokens": "6m0s"}),
		failure("gateway timeout", 504, "", providers.ServerError),
		failure("overloaded", 529, said("", "overloaded_error", "busy"), providers.Overloaded),
	}...)
}
