package translate_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/anthropic"
	"github.com/penstock-dev/penstock/providers/translate"
)

// FuzzRequest: whatever is asked, there is no panic. It is refused with the name
// of a field, the same each time, or asked as a chat completion with a message.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"input":"x","instructions":"y","text":{"format":{"type":"json_schema","name":"n","schema":{}}},"max_output_tokens":5}`,
		`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AA"}]},{"type":"function_call","call_id":"c","name":"f","arguments":"{}"},
		  {"type":"function_call_output","call_id":"c","output":"x"}],"tools":[{"type":"function","name":"f"}],"tool_choice":"required"}`,
		`{"max_tokens":5,"system":"y","messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"c","content":[]},{"type":"text","text":"x"}]}]}`,
		`{"max_tokens":5,"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]},{"role":"user","content":[]}]}`,
		`{"input":[{"id":"msg_1"}],"a/b~":1}`, `{"messages":[]}`, `null`, `[]`, `{"input":null,"messages":[{"role":"user","content":null}]}`,
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, body []byte, responses bool) {
		if !json.Valid(body) {
			return // nobody calls with what is no JSON
		}
		endpoint := providers.Messages
		if responses {
			endpoint = providers.Responses
		}
		check := translate.Check(anthropic.Check, chatOnly)
		first, second := check(endpoint, body), check(endpoint, body)
		if (first == nil) != (second == nil) || first != nil && first.Error() != second.Error() {
			t.Errorf("got %v, and then %v", first, second)
		}
		if e, ok := errors.AsType[*providers.UnsupportedError](first); ok && (e.Reason == "" || e.Pointer != "" && e.Pointer[0] != '/') {
			t.Errorf("got %+v", e)
		}
		p := saying(`{"content":"Hi"}`, "stop")
		got, err := translate.New(p, chatOnly).Call(t.Context(), providers.Request{Endpoint: endpoint, Body: body}, nil)
		if first == nil && err != nil {
			t.Errorf("the check says nothing, the call %v", err)
		}
		if err != nil {
			return
		}
		var asked struct {
			Messages []json.RawMessage `json:"messages"`
		}
		if json.Unmarshal(p.asked.Body, &asked) != nil || len(asked.Messages) == 0 || !json.Valid(got.Body) {
			t.Errorf("asked %s, answered %s", p.asked.Body, got.Body)
		}
	})
}
