package gemini

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/field"
	"github.com/penstock-dev/penstock/providers/internal/transport"
)

// FuzzStream: whatever a server streams, there is no panic, no memory beyond a
// multiple of what it sent, and no whole answer without a finish reason that is
// known for each choice (invariant 11). A whole answer is a chat completion, and
// how the bytes were cut into reads changes nothing.
func FuzzStream(f *testing.F) {
	const text = `data: {"candidates":[{"content":{"parts":[{"text":"Hi\ud83d"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":1}}` + "\r\n\r\n"
	const stop = `data: {"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"candidatesTokenCount":2},"responseId":"r","modelVersion":"m"}` + "\n\n"
	for _, seed := range []string{
		text + stop,
		text + `data: {"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"MAX_TOKENS","index":1}]}` + "\n\n" + stop,
		`data: {"candidates":[{"content":{"parts":[{"functionCall":{"id":"a","name":"f","args":{"x":1}},"thoughtSignature":"AA"}]},"finishReason":"STOP"}]}` + "\n\n",
		`data: {"candidates":[{"content":{"parts":[{"text":"hm","thought":true},{"inlineData":{}}]}}]}` + "\n\n",
		`data: {"promptFeedback":{"blockReason":"SAFETY"}}` + "\n\n",
		text + `data: {"error":{"code":503,"status":"UNAVAILABLE","details":[{"retryDelay":"3s"}]}}` + "\n\n",
		"data: {}\n\n", "data\n\ndata:\n\nid: 1\n\ndata: null\n\n",
	} {
		f.Add([]byte(seed), 1)
		f.Add([]byte(seed), 2)
	}
	const limit = 1 << 16
	nobody := func(json.RawMessage, bool) {}
	f.Fuzz(func(t *testing.T, stream []byte, choices int) {
		if choices < 1 || choices > maxChoices {
			return
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		answer, err := readStream(transport.NewEvents(bufio.NewReader(bytes.NewReader(stream)), limit), nobody, choices)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20+uint64(len(stream))*2000 {
			t.Errorf("%d bytes made %d bytes of garbage", len(stream), grown)
		}
		slow := bufio.NewReaderSize(iotest.OneByteReader(bytes.NewReader(stream)), 16)
		again, againErr := readStream(transport.NewEvents(slow, limit), nobody, choices)
		if (err == nil) != (againErr == nil) || again.Partial != answer.Partial {
			t.Errorf("byte by byte: got %v, %q, want %v, %q", againErr, again.Partial, err, answer.Partial)
		}
		checkAnswer(t, stream, choices, answer, err)
	})
}

func checkAnswer(t *testing.T, stream []byte, choices int, answer transport.Answer, err error) {
	t.Helper()
	if err != nil {
		if _, ok := errors.AsType[*providers.Error](err); !ok || errors.Is(err, io.EOF) || answer.Body != nil {
			t.Errorf("got %v and body %s", err, answer.Body)
		}
		return
	}
	escaped := bytes.Contains(stream, []byte(`\u`)) || bytes.Contains(stream, []byte("data"+":"+"\n"))
	if !escaped && !bytes.Contains(stream, []byte("STOP")) && !bytes.Contains(stream, []byte("MAX_TOKENS")) {
		t.Errorf("a whole answer of a stream without a finish reason: %q", stream)
	}
	var completion struct {
		Object  string `json:"object"`
		Choices []struct {
			Message struct {
				Role string `json:"role"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(answer.Body, &completion); err != nil || !utf8.Valid(answer.Body) {
		t.Fatalf("the answer is no JSON: %v: %q", err, answer.Body)
	}
	if completion.Object != "chat.completion" || len(completion.Choices) != choices {
		t.Errorf("the answer is no completion of %d choices: %s", choices, answer.Body)
	}
	for _, choice := range completion.Choices {
		if choice.Message.Role != "assistant" || choice.FinishReason == "" {
			t.Errorf("a choice is not whole: %s", answer.Body)
		}
	}
}

// FuzzError: whatever a server says with an error, there is no panic, the class
// is known and the hint in its bounds.
func FuzzError(f *testing.F) {
	for _, seed := range []string{
		`{"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED","details":[{"violations":[{"quotaId":"PerDay"}]},{"retryDelay":"45.8s"}]}}`,
		`[{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"},7]}}]`,
		`{"error":"no"}`, `{"error":{"details":{}}}`, `[]`, `null`, `<html>`,
	} {
		f.Add(429, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		for _, failure := range []*providers.Error{statusError(status, body), reportedError(body)} {
			if failure.Message == "" || transport.Messages[failure.Class] == "" {
				t.Errorf("got %+v", failure)
			}
			if failure.RetryAfter < 0 || failure.RetryAfter > providers.MaxHint {
				t.Errorf("a hint of %s", failure.RetryAfter)
			}
		}
	})
}

// FuzzRequest: whatever is asked, there is no panic. It is refused with the
// name of a field, or becomes a request with all that Gemini requires, the same
// one each time.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"messages":[{"role":"user","content":"x"}],"max_tokens":5,"stop":["a"],"temperature":0.5,"n":2,"seed":1,"top_k":3}`,
		`{"messages":[{"role":"system","content":"x"},{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}]}`,
		`{"messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"},
		  "extra_content":{"google":{"thought_signature":"AA"}}}]},{"role":"tool","tool_call_id":"a"}],
		  "tools":[{"type":"function","function":{"name":"f","parameters":{},"strict":true}}],"tool_choice":"required","parallel_tool_calls":true}`,
		`{"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}},"service_tier":"flex"}`,
		`{"messages":[{"role":"user","content":"x"}],"a/b~":1}`, `null`, `[]`, `{"messages":null}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !json.Valid(body) {
			return // nobody calls with what is no JSON
		}
		r, err := translate(body)
		if err != nil {
			unsupported, ok := errors.AsType[*providers.UnsupportedError](err)
			if !ok || unsupported.Reason == "" || unsupported.Pointer != "" && unsupported.Pointer[0] != '/' {
				t.Errorf("got %v", err)
			}
			again := Check(providers.ChatCompletions, body)
			if again == nil || again.Error() != err.Error() {
				t.Errorf("got %v, and then %v", err, again)
			}
			return
		}
		if len(r.Contents) == 0 || r.Contents[len(r.Contents)-1].Role == "model" || r.choices < 1 || r.choices > maxChoices {
			t.Errorf("got %+v", r)
		}
		for i, c := range r.Contents {
			if len(c.Parts) == 0 || i > 0 && c.Role == "model" && r.Contents[i-1].Role == "model" {
				t.Errorf("content %d: got %+v", i, c)
			}
		}
		if written, err := field.Encode(r); err != nil || !json.Valid(written) {
			t.Errorf("got %s, error %v", written, err)
		}
	})
}
