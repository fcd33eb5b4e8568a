package gemini_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/providertest"
)

const (
	letMe  = `{"candidates":[{"content":{"parts":[{"text":"Let me"}],"role":"model"}}],"responseId":"r","modelVersion":"m-1"}`
	atEnd  = `{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":6,"candidatesTokenCount":20}}`
	toolsF = `{"functionCall":{"id":"fc_1","name":"f","args":{"city": "K\u00f6ln", "tall": true}},"thoughtSignature":"c2ln"}`
	toolsG = `{"functionCall":{"name":"g"}}`
	toolsH = `{"functionCall":{"name":"h","args":{}}}`
)

var chatRequest = providers.Request{
	Endpoint: providers.ChatCompletions, Model: "m", Body: json.RawMessage(`{"messages":[{"role":"user","content":"x"}]}`),
}

func failureOf(t *testing.T, err error) *providers.Error {
	t.Helper()
	failure, ok := errors.AsType[*providers.Error](err)
	if !ok {
		t.Fatalf("got %T %v, want a *providers.Error", err, err)
	}
	return failure
}

var madeID = regexp.MustCompile(`"call_[A-Z2-7]{26}"`)

// call asks and returns the body, without what differs from run to run.
func call(t *testing.T, req providers.Request, reply providertest.Reply) (body string, chunks []string) {
	t.Helper()
	got, err := open(t, reply).Call(t.Context(), req, func(c providers.Chunk) {
		if c.Data != nil {
			chunks = append(chunks, string(c.Data))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(got.Body, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "created")
	cut, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	if ids := madeID.FindAllString(string(cut), -1); len(ids) == 2 && ids[0] == ids[1] {
		t.Errorf("two calls have the id %s", ids[0])
	}
	return madeID.ReplaceAllString(string(cut), `"made"`), chunks
}

const toolAnswer = `{"id":"r","object":"chat.completion","model":"m-1","choices":[{"index":0,"logprobs":null,"finish_reason":"tool_calls",
  "message":{"role":"assistant","content":"Let me","refusal":null,"tool_calls":[
    {"id":"fc_1","type":"function","function":{"name":"f","arguments":"{\"city\":\"K\\u00f6ln\",\"tall\":true}"},
     "extra_content":{"google":{"thought_signature":"c2ln"}}},
    {"id":"made","type":"function","function":{"name":"g","arguments":"{}"}},
    {"id":"made","type":"function","function":{"name":"h","arguments":"{}"}}]}}],
  "usage":{"prompt_tokens":6,"completion_tokens":20,"total_tokens":26,"prompt_tokens_details":{"cached_tokens":0},
    "completion_tokens_details":{"reasoning_tokens":0}}}`

// TestToolCalls: with an id of their own and without, one in an event and
// several.
func TestToolCalls(t *testing.T) {
	t.Parallel()
	event := func(parts ...string) string {
		return `{"candidates":[{"content":{"parts":[` + strings.Join(parts, ",") + `],"role":"model"}}]}`
	}
	got, chunks := call(t, chatRequest, providertest.Stream(letMe, event(toolsF), event(toolsG, toolsH), atEnd))
	if !equalJSON(t, got, toolAnswer) {
		t.Errorf("\ngot  %s\nwant %s", got, toolAnswer)
	}
	if len(chunks) != 7 {
		t.Errorf("told of %d chunks:\n%s", len(chunks), strings.Join(chunks, "\n"))
	}
}

func TestWholeToolCalls(t *testing.T) {
	t.Parallel()
	got, chunks := call(t, chatRequest, providertest.Whole(200, `{"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"text":"Let"},
	  {"text":" me"},`+toolsF+`,`+toolsG+`,`+toolsH+`]},"finishReason":"STOP"}],"responseId":"r","modelVersion":"m-1",
	  "usageMetadata":{"promptTokenCount":6,"candidatesTokenCount":20}}`))
	if !equalJSON(t, got, toolAnswer) || len(chunks) != 0 {
		t.Errorf("%d chunks\ngot  %s\nwant %s", len(chunks), got, toolAnswer)
	}
}

// TestACallCutByTheLimitIsOne: what came is handed over, as chat completions do.
func TestACallCutByTheLimitIsOne(t *testing.T) {
	t.Parallel()
	got, _ := call(t, chatRequest, providertest.Stream(`{"candidates":[{"content":{"parts":[`+toolsG+`]},"finishReason":"MAX_TOKENS"}]}`))
	if !strings.Contains(got, `"finish_reason":"length"`) || !strings.Contains(got, `"content":null`) {
		t.Errorf("got %s", got)
	}
}

var twoChoices = providers.Request{
	Endpoint: providers.ChatCompletions, Model: "m", Body: json.RawMessage(`{"messages":[{"role":"user","content":"x"}],"n":2}`),
}

// TestChoices: each comes in pieces of its own, and one that is withheld says so
// beside one that is not.
func TestChoices(t *testing.T) {
	t.Parallel()
	got, _ := call(t, twoChoices, providertest.Stream(
		`{"candidates":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]},"index":1}]}`,
		`{"candidates":[{"finishReason":"SAFETY","index":1}]}`,
		`{"candidates":[{"content":{"parts":[{"text":"A"}]},"finishReason":"MAX_TOKENS"}]}`))
	want := `{"object":"chat.completion","choices":[
	  {"index":0,"message":{"role":"assistant","content":"aA","refusal":null},"logprobs":null,"finish_reason":"length"},
	  {"index":1,"message":{"role":"assistant","content":"b","refusal":null},"logprobs":null,"finish_reason":"content_filter"}]}`
	if !equalJSON(t, got, want) {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

// TestChoicesThatAreMissing: an answer is whole with all that was asked for.
func TestChoicesThatAreMissing(t *testing.T) {
	t.Parallel()
	const first = `{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}`
	const second = `{"candidates":[{"content":{"parts":[{"text":"b"}]},"index":1}]}`
	for name, c := range map[string]struct {
		reply providertest.Reply
		want  providers.Class
	}{
		"never begun":       {providertest.Stream(first), providers.Truncated},
		"never begun whole": {providertest.Whole(200, first), providers.Truncated},
		"not ended":         {providertest.Stream(first, second), providers.Truncated},
		"all withheld": {providertest.Stream(
			strings.Replace(first, "STOP", "SAFETY", 1), `{"candidates":[{"finishReason":"SPII","index":1}]}`), providers.ContentFiltered},
		"one broken off": {providertest.Stream(first, `{"candidates":[{"finishReason":"OTHER","index":1}]}`), providers.ServerError},
	} {
		_, err := open(t, c.reply).Call(t.Context(), twoChoices, nil)
		if got := failureOf(t, err); got.Class != c.want {
			t.Errorf("%s: got %s, want %s", name, got.Class, c.want)
		}
	}
}

// TestLogprobs: without alternatives for a token, there is an empty list of them.
func TestLogprobs(t *testing.T) {
	t.Parallel()
	req := chatRequest
	req.Body = json.RawMessage(`{"messages":[{"role":"user","content":"x"}],"logprobs":true,"top_logprobs":2}`)
	got, _ := call(t, req, providertest.Whole(200, `{"candidates":[{"content":{"parts":[{"text":"a b"}]},"finishReason":"STOP","logprobsResult":{
	  "chosenCandidates":[{"token":"a","tokenId":7,"logProbability":-0.5},{"token":" b","logProbability":0}],
	  "topCandidates":[{"candidates":[{"token":"a","logProbability":-0.5},{"token":"A","logProbability":-2.25}]}]}}]}`))
	want := `{"object":"chat.completion","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"a b","refusal":null},
	  "logprobs":{"refusal":null,"content":[
	    {"token":"a","logprob":-0.5,"bytes":null,"top_logprobs":[{"token":"a","logprob":-0.5,"bytes":null},{"token":"A","logprob":-2.25,"bytes":null}]},
	    {"token":" b","logprob":0,"bytes":null,"top_logprobs":[]}]}}]}`
	if !equalJSON(t, got, want) {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

func TestNothingToSay(t *testing.T) {
	t.Parallel()
	got, chunks := call(t, chatRequest, providertest.Stream(atEnd))
	if !strings.Contains(got, `"content":""`) || len(chunks) != 4 {
		t.Errorf("got %s in %d chunks", got, len(chunks))
	}
}

// TestFiltersSayWhy: what the provider says about it is for the tenant.
func TestFiltersSayWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ event, want string }{
		"answer":            {`{"candidates":[{"finishReason":"RECITATION","finishMessage":"because"}]}`, "because"},
		"prompt":            {`{"promptFeedback":{"blockReason":"BLOCKLIST"}}`, "BLOCKLIST"},
		"prompt with words": {`{"promptFeedback":{"blockReason":"MODEL_ARMOR","blockReasonMessage":"because"}}`, "because"},
	} {
		_, err := open(t, providertest.Stream(c.event)).Call(t.Context(), chatRequest, nil)
		if got := failureOf(t, err); got.Class != providers.ContentFiltered || got.Detail != c.want {
			t.Errorf("%s: got %v with detail %q, want %q", name, got, got.Detail, c.want)
		}
	}
}

// TestUsage: counts are cumulative, thoughts are part of the output, and what a
// later event leaves out is not forgotten.
func TestUsage(t *testing.T) {
	t.Parallel()
	got, err := open(t, providertest.Stream(
		`{"usageMetadata":{"promptTokenCount":50,"cachedContentTokenCount":7,"toolUsePromptTokenCount":3,"thoughtsTokenCount":4}}`,
		`{"usageMetadata":{"promptTokenCount":0,"cachedContentTokenCount":null,"candidatesTokenCount":8,"thoughtsTokenCount":5}}`,
		`{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"candidatesTokenCount":9}}`,
	)).Call(t.Context(), chatRequest, nil)
	want := providers.Usage{Known: true, InputTokens: 53, OutputTokens: 14, CachedTokens: 7, ReasoningTokens: 5}
	if err != nil || got.Usage != want {
		t.Errorf("got %+v, error %v, want %+v", got.Usage, err, want)
	}
}

// TestThinkingKeepsTheClocks: a model that thinks aloud has begun.
func TestThinkingKeepsTheClocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		thought := func(text string) string {
			return `{"candidates":[{"content":{"parts":[{"text":"` + text + `","thought":true}]}}]}`
		}
		reply := providertest.Stream(thought(""), thought("a"), thought("b"), `{}`, letMe, atEnd)
		for i := range reply.Pieces {
			reply.Pieces[i].After = 2 * time.Second
		}
		req := chatRequest
		req.Timeouts = providers.Timeouts{FirstToken: 5 * time.Second, Stall: 3 * time.Second}
		got, err := open(t, reply).Call(t.Context(), req, nil)
		if err != nil || got.TimeToFirstToken != 4*time.Second {
			t.Errorf("got %s to the first token, error %v", got.TimeToFirstToken, err)
		}
	})
}
