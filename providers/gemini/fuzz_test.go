package gemini

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/internal/chat"
	"github.com/penstock-dev/penstock/providers/internal/field"
	"github.com/penstock-dev/penstock/providers/internal/transport"
	"github.com/penstock-dev/penstock/providers/internal/transporttest"
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
	nobody := func(json.RawMessage, bool) {}
	f.Fuzz(func(t *testing.T, stream []byte, choices int) {
		if choices < 1 || choices > maxChoices {
			return
		}
		answer, _, err := transporttest.ReadTwice(t, stream, func(events *transport.Events) (transport.Answer, error) {
			return readStream(events, nobody, choices)
		})
		if err != nil {
			return
		}
		escaped := bytes.Contains(stream, []byte(`\u`)) || bytes.Contains(stream, []byte("data"+":"+"\n"))
		if !escaped && !bytes.Contains(stream, []byte("STOP")) && !bytes.Contains(stream, []byte("MAX_TOKENS")) {
			t.Errorf("a whole answer of a stream without a finish reason: %q", stream)
		}
		transporttest.Completion(t, answer.Body, choices)
	})
}

// FuzzEmbeddings: whatever a server answers, there is no panic, and a whole answer
// has a vector that is not empty for each text.
func FuzzEmbeddings(f *testing.F) {
	for _, seed := range []string{
		`{"embeddings":[{"values":[0.5,-1e-3]},{"values":[3]}],"usageMetadata":{"promptTokenCount":7}}`,
		`{"embeddings":[{"values":[]},{}]}`, `{"embeddings":[{"values":[1e99]}]}`, `{"error":{"code":503}}`, `{"embeddings":null}`, `[]`,
	} {
		f.Add([]byte(seed), 2, false)
		f.Add([]byte(seed), 1, true)
	}
	f.Fuzz(func(t *testing.T, body []byte, texts int, inBase64 bool) {
		if texts < 1 || texts > maxInputs {
			return
		}
		asked := &embeddingRequest{Requests: make([]embedContent, texts), base64: inBase64}
		answer, err := asked.readAnswer("m", body)
		if err != nil {
			if _, ok := errors.AsType[*providers.Error](err); !ok || answer.Body != nil {
				t.Errorf("got %v and body %s", err, answer.Body)
			}
			return
		}
		var said struct {
			Data []struct {
				Embedding json.RawMessage `json:"embedding"`
			} `json:"data"`
		}
		if err := json.Unmarshal(answer.Body, &said); err != nil || len(said.Data) != texts {
			t.Fatalf("got %s, error %v, want %d vectors", answer.Body, err, texts)
		}
		for _, one := range said.Data {
			if chat.IsEmpty(one.Embedding) || (one.Embedding[0] == '"') != inBase64 {
				t.Errorf("got the vector %s", one.Embedding)
			}
		}
	})
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
			transporttest.Refusal(t, err, Check(providers.ChatCompletions, body))
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
