package providertest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/penstock-dev/penstock/providers"
)

// Gemini is the wire of Gemini's generateContent, for a provider that
// translates chat completions to it.
func Gemini() Wire {
	return Wire{
		Request: providers.Request{
			Endpoint: providers.ChatCompletions,
			Model:    "gemini-test",
			Body:     json.RawMessage(`{"model":"default","messages":[{"role":"user","content":"` + Prompt + `"}]}`),
		},
		Answers:   geminiAnswers(),
		Failures:  append(geminiStatuses(), geminiBroken()...),
		Slow:      geminiSlow(),
		SlowFirst: 30 * time.Second,
		SlowNext:  10 * time.Second,
	}
}

const (
	geminiTail  = `,"modelVersion":"gemini-test-1","responseId":"resp_1"}`
	geminiFirst = `"usageMetadata":{"promptTokenCount":9,"cachedContentTokenCount":4,"totalTokenCount":9}` + geminiTail
	geminiLast  = `"usageMetadata":` + geminiCounts + geminiTail

	geminiHello  = `{"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"index":0}],` + geminiFirst
	geminiWorld  = `{"candidates":[{"content":{"parts":[{"text":" world"}],"role":"model"}}],` + geminiFirst
	geminiStop   = `{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"c2ln"}],"role":"model"},"finishReason":"STOP","index":0}],` + geminiLast
	geminiCounts = `{"promptTokenCount":9,"cachedContentTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":3,` +
		`"totalTokenCount":14,"promptTokensDetails":[{"modality":"TEXT","tokenCount":9}]}`
	geminiWhole = `{"candidates":[{"content":{"parts":[{"text":"Hello"},{"text":" world"}],"role":"model"},` +
		`"finishReason":"STOP","index":0,"avgLogprobs":-0.1}],` + geminiLast
	// geminiBody was created when the bubble of a test begins.
	geminiBody = `{"id":"resp_1","object":"chat.completion","created":946684800,"model":"gemini-test-1","choices":[` +
		`{"index":0,"message":{"role":"assistant","content":"Hello world","refusal":null},"logprobs":null,` +
		`"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,` +
		`"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}}}`
)

var (
	geminiUsage = providers.Usage{Known: true, InputTokens: 9, OutputTokens: 5, CachedTokens: 4, ReasoningTokens: 3}
	geminiBegun = providers.Usage{Known: true, InputTokens: 9, CachedTokens: 4}
	geminiWant  = providers.Response{
		Model: "gemini-test-1", FinishReason: "stop", Usage: geminiUsage, HTTPStatus: 200, RequestID: "req_1",
	}
)

func geminiAnswers() []Answer {
	streamed := Stream(geminiHello, geminiWorld, geminiStop)
	crlf := streamed
	crlf.Pieces = []Piece{{Text: strings.ReplaceAll(joined(streamed), "\n", "\r\n")}}
	bytewise := streamed
	bytewise.Pieces = nil
	for _, b := range []byte(joined(streamed)) {
		bytewise.Pieces = append(bytewise.Pieces, Piece{Text: string(b)})
	}
	commented := streamed
	commented.Pieces = []Piece{{Text: "\n: waiting\n\nid: 7\n\n" + joined(streamed)}}
	thought := `{"candidates":[{"content":{"parts":[{"text":"Hm.","thought":true}],"role":"model"},"index":0}],` + geminiFirst
	atOnce := strings.Replace(geminiWorld, `"role":"model"}`, `"role":"model"},"finishReason":"STOP"`, 1)
	lateUsage := `{"candidates":[],` + geminiLast
	everStop := strings.Replace(geminiHello, `"index":0`, `"finishReason":"STOP"`, 1)
	array := Whole(200, "["+geminiHello+",\n"+geminiWorld+",\n"+geminiStop+"]")
	return []Answer{
		{Name: "streamed", Reply: streamed, Want: geminiWant, Body: geminiBody, Chunks: 5},
		{Name: "streamed with CRLF", Reply: crlf, Want: geminiWant, Body: geminiBody, Chunks: 5},
		{Name: "streamed byte by byte", Reply: bytewise, Want: geminiWant, Body: geminiBody, Chunks: 5},
		{Name: "streamed with comments", Reply: commented, Want: geminiWant, Body: geminiBody, Chunks: 5},
		{Name: "thought about first", Reply: Stream(thought, geminiHello, geminiWorld, geminiStop), Want: geminiWant, Body: geminiBody, Chunks: 5},
		{Name: "streamed with its usage last", Reply: Stream(geminiHello, atOnce, lateUsage), Want: geminiWant, Body: geminiBody, Chunks: 5},
		{Name: "streamed with a finish reason in each event", Reply: Stream(everStop, geminiWorld, geminiStop), Want: geminiWant, Body: geminiBody, Chunks: 5},
		{Name: "whole though asked for a stream", Reply: Whole(200, geminiWhole), Want: geminiWant, Body: geminiBody},
		{Name: "an array though asked for events", Reply: array, Want: geminiWant, Body: geminiBody},
	}
}

// geminiSlow opens with an event that has nothing of the answer.
func geminiSlow() Reply {
	slow := Stream(`{"usageMetadata":{"promptTokenCount":9}}`, geminiHello, geminiWorld, geminiStop)
	slow.Pieces[1].After = 30 * time.Second
	slow.Pieces[2].After = 10 * time.Second
	return slow
}

// geminiBroken are replies that begin as answers and are none.
func geminiBroken() []Failure {
	began := func(class providers.Class, partial string) providers.Error {
		return providers.Error{Class: class, HTTPStatus: 200, RequestID: "req_1", Partial: partial, Usage: geminiBegun}
	}
	spent := func(class providers.Class, partial string) providers.Error {
		err := began(class, partial)
		err.Usage = geminiUsage
		return err
	}
	blank := func(class providers.Class) providers.Error {
		return providers.Error{Class: class, HTTPStatus: 200, RequestID: "req_1"}
	}
	waiting := func(err providers.Error, d time.Duration) providers.Error {
		err.RetryAfter = d
		return err
	}
	cut := func(reply Reply) Reply {
		reply.End = Cut
		return reply
	}
	ended := func(reason string) Reply {
		return Stream(geminiHello, strings.Replace(geminiStop, `"STOP"`, `"`+reason+`"`, 1))
	}
	with := func(part string) Reply {
		return Stream(geminiHello, strings.Replace(geminiWorld, `{"text":" world"}`, part, 1), geminiStop)
	}
	named := Stream(geminiHello)
	named.Pieces = append(named.Pieces, Piece{Text: "event: error\ndata: it broke\n\n"})
	unended := Stream(geminiHello, geminiStop)
	unended.Pieces[1].Text = strings.TrimSuffix(unended.Pieces[1].Text, "\n\n")
	blocked := `{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":9,"cachedContentTokenCount":4}}`
	another := strings.Replace(geminiWorld, `"content"`, `"index":1,"content"`, 1)
	failures := []Failure{
		{"stream cut", cut(Stream(geminiHello)), began(providers.Truncated, "Hello")},
		{"stream cut behind its last choice", cut(Stream(geminiHello, geminiStop)), spent(providers.Truncated, "Hello")},
		{"stream ended early", Stream(geminiHello), began(providers.Truncated, "Hello")},
		{"stream without terminal event", Stream(geminiHello, geminiWorld), began(providers.Truncated, "Hello world")},
		{"stream without finish reason", ended("FINISH_REASON_UNSPECIFIED"), spent(providers.Truncated, "Hello")},
		{"stream that goes on behind its finish reason", Stream(geminiStop, geminiHello), spent(providers.Truncated, "Hello")},
		{"stream ended inside its last event", unended, began(providers.Truncated, "Hello")},
		{"stream of nothing", Stream(`{}`), blank(providers.Truncated)},
		{"stream of comments", commentsOnly(), blank(providers.Truncated)},
		{"stream of usage alone", Stream(`{"candidates":[],` + geminiLast), spent(providers.Truncated, "")},
		{"candidate that was not asked for", Stream(geminiHello, another), began(providers.Malformed, "Hello")},
		{"malformed chunk", Stream(geminiHello, `{"candidates":[{"con`), began(providers.Malformed, "Hello")},
		{"chunk that is no object", Stream(geminiHello, `[1]`), began(providers.Malformed, "Hello")},
		{"chunk of another shape", Stream(geminiHello, `{"candidates":{"a":1}}`), began(providers.Malformed, "Hello")},
		{"part of an unknown kind", with(`{"hologram":{"depth":3}}`), began(providers.Malformed, "Hello")},
		{"image", with(`{"inlineData":{"mimeType":"image/png","data":"AA"}}`), began(providers.Malformed, "Hello")},
		{"call of no function", with(`{"functionCall":{"args":{}}}`), began(providers.Malformed, "Hello")},
		{"arguments that are no object", with(`{"functionCall":{"name":"f","args":[1]}}`), began(providers.Malformed, "Hello")},
		{
			"error in the stream", Stream(geminiHello, geminiError(500, "INTERNAL", "x")), began(providers.ServerError, "Hello"),
		},
		{
			"overload in the stream", Stream(geminiHello, geminiError(503, "UNAVAILABLE", "x")), began(providers.Overloaded, "Hello"),
		},
		{
			"limit in the stream", Stream(geminiHello, geminiError(429, "RESOURCE_EXHAUSTED", "x", retryInfo("7s"))),
			waiting(began(providers.RateLimited, "Hello"), 7*time.Second),
		},
		{"error as named event", named, began(providers.ServerError, "Hello")},
		{"finish reason content_filter", ended("SAFETY"), spent(providers.ContentFiltered, "Hello")},
		{"pause", ended("CONTINUATION"), spent(providers.Truncated, "Hello")},
		{"unknown finish reason", ended("SUNSET"), spent(providers.Malformed, "Hello")},
		{"malformed call", ended("MALFORMED_FUNCTION_CALL"), spent(providers.InvalidOutput, "Hello")},
		{"no reason given", ended("OTHER"), spent(providers.ServerError, "Hello")},
		{"signatures missing", ended("MISSING_THOUGHT_SIGNATURE"), spent(providers.BadRequest, "Hello")},
		{"prompt blocked", Stream(blocked), began(providers.ContentFiltered, "")},
		{"prompt blocked, said whole", Whole(200, blocked), began(providers.ContentFiltered, "")},
		{"empty 200", Whole(200, ""), blank(providers.Malformed)},
		{"empty stream", Reply{Header: Stream().Header}, blank(providers.Malformed)},
		{"white space", Whole(200, " \n\n"), blank(providers.Malformed)},
		{"HTML", page(), blank(providers.Malformed)},
		{"null", Whole(200, "null"), blank(providers.Malformed)},
		{"array of nothing", Whole(200, "[]"), blank(providers.Malformed)},
		{"array of numbers", Whole(200, "[1]"), blank(providers.Malformed)},
		{"array that ended early", Whole(200, "["+geminiHello+"]"), began(providers.Truncated, "Hello")},
		{"whole body broken off", Whole(200, geminiWhole[:len(geminiWhole)/2]), blank(providers.Malformed)},
		{"whole body cut", cut(Whole(200, geminiWhole[:len(geminiWhole)/2])), blank(providers.Truncated)},
		{
			"whole without finish reason", Whole(200, strings.Replace(geminiWhole, `"STOP"`, "null", 1)),
			spent(providers.Truncated, "Hello world"),
		},
		{"whole without candidates", Whole(200, `{"candidates":[],`+geminiLast), spent(providers.Malformed, "")},
		{"error in a 200", Whole(200, geminiError(429, "RESOURCE_EXHAUSTED", "x")), blank(providers.RateLimited)},
		{
			"error in an array in a 200", Whole(200, "["+geminiError(429, "RESOURCE_EXHAUSTED", "x", retryInfo("7s"))+"]"),
			waiting(blank(providers.RateLimited), 7*time.Second),
		},
		{"connection cut before the answer", Reply{End: Cut}, providers.Error{Class: providers.Connection}},
	}
	for _, reason := range []string{"RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"} {
		failures = append(failures, Failure{"finish reason " + reason, ended(reason), spent(providers.ContentFiltered, "Hello")})
	}
	return failures
}

// geminiError is an error as google.rpc.Status has it.
func geminiError(code int, status, message string, details ...any) string {
	inner := map[string]any{"code": code, "message": message, "status": status}
	if len(details) > 0 {
		inner["details"] = details
	}
	body, _ := json.Marshal(map[string]any{"error": inner})
	return string(body)
}

func retryInfo(delay string) any {
	return map[string]any{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}
}

func quotaFailure(ids ...string) any {
	violations := make([]any, 0, len(ids))
	for _, id := range ids {
		violations = append(violations, map[string]any{
			"quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests", "quotaId": id,
			"quotaDimensions": map[string]any{"location": "global", "model": "gemini-test"}, "quotaValue": "20",
		})
	}
	return map[string]any{"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}
}

func errorInfo(reason string) any {
	return map[string]any{
		"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com",
		"metadata": map[string]any{"service": "generativelanguage.googleapis.com"},
	}
}

// geminiHints are the ways in which Gemini says how long to wait, sensible and
// not: in the body.
func geminiHints() []Failure {
	const exhausted = "You exceeded your current quota, please check your plan and billing details."
	help := map[string]any{"@type": "type.googleapis.com/google.rpc.Help", "links": []any{}}
	said := func(details ...any) string {
		return geminiError(429, "RESOURCE_EXHAUSTED", exhausted, append([]any{help}, details...)...)
	}
	const perMinute, perDay = "GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
	day := limited("quota", said(quotaFailure(perDay)), nil, 0)
	both := limited("quota of a minute and of a day", said(quotaFailure(perMinute, perDay), retryInfo("37s")), nil, 37*time.Second)
	metric := limited("quota of a day by its metric", geminiError(429, "RESOURCE_EXHAUSTED", "x", map[string]any{
		"violations": []any{map[string]any{"quotaMetric": "generativelanguage.googleapis.com/generate_requests_per_model_per_day"}},
	}), nil, 0)
	credits := limited("credits", geminiError(429, "RESOURCE_EXHAUSTED", "Your prepayment credits are depleted."), nil, 0)
	for _, f := range []*Failure{&day, &both, &metric, &credits} {
		f.Want.Class = providers.QuotaExhausted
	}
	odd := geminiError(429, "RESOURCE_EXHAUSTED", "x", "no object", map[string]any{"violations": 7}, retryInfo("7s"))
	header := map[string]string{"Retry-After": "20"}
	return []Failure{
		day, both, metric, credits,
		limited("retry delay", said(quotaFailure(perMinute), retryInfo("45.8s")), nil, 45800*time.Millisecond),
		limited("absurd retry delay", said(retryInfo("315576000000s")), nil, 24*time.Hour),
		limited("negative retry delay", said(retryInfo("-5s")), nil, 0),
		limited("unreadable retry delay", said(retryInfo("soon")), nil, 0),
		limited("retry delay longer than that of the header", said(retryInfo("45s")), header, 45*time.Second),
		limited("retry delay shorter than that of the header", said(retryInfo("5s")), header, 20*time.Second),
		limited("retry delay among odd details", odd, nil, 7*time.Second),
		limited("retry delay in an array", "["+said(retryInfo("45.8s"))+"]", nil, 45800*time.Millisecond),
	}
}

// geminiStatuses are the errors that have a status of their own.
func geminiStatuses() []Failure {
	failure := func(name string, status int, body string, class providers.Class) Failure {
		want := providers.Error{Class: class, HTTPStatus: status, RequestID: "req_1"}
		return Failure{fmt.Sprintf("%d %s", status, name), Whole(status, body), want}
	}
	const invalid = "INVALID_ARGUMENT"
	busy := failure("unavailable", 503, geminiError(503, "UNAVAILABLE", "The model is overloaded.", retryInfo("3s")), providers.Overloaded)
	busy.Want.RetryAfter = 3 * time.Second
	stays := failure("conflict that stays", 409, "", providers.BadRequest)
	stays.Reply.Header["X-Should-Retry"] = "false"
	failures := []Failure{
		failure("plain", 400, geminiError(400, invalid, "Invalid value at 'contents'"), providers.BadRequest),
		failure("context length", 400, geminiError(400, invalid,
			"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."), providers.ContextLength),
		failure("too large a body", 400, geminiError(400, invalid,
			"Request payload size exceeds the limit: 20971520 bytes."), providers.ContextLength),
		failure("content filter", 400, geminiError(400, invalid,
			"The prompt contains words that violate Google's Responsible AI practices."), providers.ContentFiltered),
		failure("key, said with the wrong status", 400, geminiError(400, invalid,
			"API key not valid. Please pass a valid API key.", errorInfo("API_KEY_INVALID")), providers.Authentication),
		failure("key, said in words alone", 400, geminiError(400, invalid,
			"API key not valid. Please pass a valid API key."), providers.Authentication),
		failure("country", 400, geminiError(400, "FAILED_PRECONDITION",
			"User location is not supported for the API use."), providers.Permission),
		failure("no credit", 400, geminiError(400, "FAILED_PRECONDITION", "x", errorInfo("BILLING_DISABLED")), providers.QuotaExhausted),
		failure("said with the wrong status", 400, geminiError(400, "UNAVAILABLE", "busy"), providers.Overloaded),
		failure("key", 401, geminiError(401, "UNAUTHENTICATED", "no"), providers.Authentication),
		failure("no body", 401, "", providers.Authentication),
		failure("no credit", 402, "", providers.QuotaExhausted),
		failure("permission", 403, geminiError(403, "PERMISSION_DENIED", "no"), providers.Permission),
		failure("proxy", 403, geminiError(403, invalid, "no"), providers.Permission),
		failure("model", 404, geminiError(404, "NOT_FOUND", "models/gemini-0 is not found for API version v1beta"), providers.NotFound),
		failure("address", 404, "404 page not found", providers.NotFound),
		failure("conflict", 409, geminiError(409, "ABORTED", "x"), providers.ServerError), stays,
		failure("too large", 413, "", providers.ContextLength),
		failure("cancelled by the server", 499, geminiError(499, "CANCELLED", "x"), providers.ServerError),
		failure("plain", 500, geminiError(500, "INTERNAL", "An internal error has occurred."), providers.ServerError),
		failure("bad gateway", 502, "<html>", providers.ServerError),
		busy,
		failure("gateway timeout", 504, geminiError(504, "DEADLINE_EXCEEDED", "slow"), providers.ServerError),
		failure("overloaded", 529, "", providers.Overloaded),
	}
	failures = append(failures, geminiHints()...)
	return append(failures, hinted(geminiError(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."))...)
}
