package anthropic_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// upstream is a provider in the formats of OpenAI and Anthropic of which the model says
// what it does: see answer.
type upstream struct {
	mu    sync.Mutex
	calls map[string]int
}

// startUpstream starts one and returns its address.
func startUpstream(t *testing.T) (*upstream, string) {
	t.Helper()
	u := &upstream{calls: map[string]int{}}
	server := httptest.NewServer(u)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return u, server.URL
}

// count returns how many calls of a model there have been, with this one.
func (u *upstream) count(model string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls[model]++
	return u.calls[model]
}

// asked is how many calls of a model there were.
func (u *upstream) asked(model string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.calls[model]
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var asked struct {
		Model string `json:"model"`
	}
	if err != nil || json.Unmarshal(body, &asked) != nil {
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	}
	var a answer = &chatAnswer{w: w}
	if strings.HasSuffix(r.URL.Path, "/messages") {
		a = &messageAnswer{w: w}
	}
	u.answer(r.Context(), a, asked.Model, strings.Contains(string(body), "sunny"), u.count(asked.Model))
}

// answer says something as a provider does, streamed.
type answer interface {
	refuse(status int)
	text(text string)
	call(index int, city string)
	finish(tools bool)
}

func (u *upstream) answer(ctx context.Context, a answer, model string, sunny bool, n int) {
	switch {
	case strings.HasPrefix(model, "status-"):
		status, _ := strconv.Atoi(strings.TrimPrefix(model, "status-"))
		a.refuse(status)
	case model == "stuck":
		<-ctx.Done()
	case model == "breaks-off":
		a.text("well begun")
		panic(http.ErrAbortHandler)
	case model == "tools" && sunny:
		a.text("sunny, sunny")
		a.finish(false)
	case model == "tools":
		a.text("I look.")
		a.call(0, "Oslo")
		a.call(1, "Kairo")
		a.finish(true)
	default:
		if model == "slow" {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
		a.text(fmt.Sprint("call ", n))
		a.finish(false)
	}
}

// messageAnswer is one in the form of Messages.
type messageAnswer struct {
	w       http.ResponseWriter
	started bool
	blocks  int
}

func (a *messageAnswer) event(name, members string) {
	fmt.Fprintf(a.w, "event: %s\ndata: {\"type\":%q%s}\n\n", name, name, members)
	_ = http.NewResponseController(a.w).Flush()
}

func (a *messageAnswer) block(begun string, deltas ...string) {
	if !a.started {
		a.started = true
		a.w.Header().Set("Content-Type", "text/event-stream")
		a.event("message_start", `,"message":{"id":"msg_01","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":1}}`)
		a.event("ping", "")
	}
	a.event("content_block_start", fmt.Sprintf(`,"index":%d,"content_block":%s`, a.blocks, begun))
	for _, delta := range deltas {
		a.event("content_block_delta", fmt.Sprintf(`,"index":%d,"delta":%s`, a.blocks, delta))
	}
	if !strings.Contains(strings.Join(deltas, ""), "well begun") {
		a.event("content_block_stop", fmt.Sprintf(`,"index":%d`, a.blocks))
	}
	a.blocks++
}

func (a *messageAnswer) text(text string) {
	a.block(`{"type":"text","text":""}`, fmt.Sprintf(`{"type":"text_delta","text":%q}`, text))
}

func (a *messageAnswer) call(index int, city string) {
	a.block(fmt.Sprintf(`{"type":"tool_use","id":"toolu_%d","name":"weather","input":{}}`, index),
		`{"type":"input_json_delta","partial_json":"{\"city\":"}`, fmt.Sprintf(`{"type":"input_json_delta","partial_json":"\"%s\"}"}`, city))
}

func (a *messageAnswer) finish(tools bool) {
	reason := "end_turn"
	if tools {
		reason = "tool_use"
	}
	a.event("message_delta", fmt.Sprintf(`,"delta":{"stop_reason":%q,"stop_sequence":null},"usage":{"output_tokens":7}`, reason))
	a.event("message_stop", "")
}

func (a *messageAnswer) refuse(status int) {
	kind := map[int]string{
		400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 500: "api_error",
	}[status]
	a.w.Header().Set("Content-Type", "application/json")
	a.w.WriteHeader(status)
	fmt.Fprintf(a.w, `{"type":"error","error":{"type":%q,"message":"refused"},"request_id":"req_1"}`, kind)
}

// chatAnswer is one in the form of chat completions.
type chatAnswer struct {
	w http.ResponseWriter
}

func (a *chatAnswer) chunk(choices, usage string) {
	a.w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprintf(a.w, "data: {\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[%s],\"usage\":%s}\n\n", choices, usage)
	_ = http.NewResponseController(a.w).Flush()
}

func (a *chatAnswer) text(text string) {
	a.chunk(fmt.Sprintf(`{"index":0,"delta":{"role":"assistant","content":%q},"finish_reason":null}`, text), "null")
}

func (a *chatAnswer) call(index int, city string) {
	for _, piece := range []string{
		fmt.Sprintf(`{"index":%d,"id":"call_%d","type":"function","function":{"name":"weather","arguments":""}}`, index, index),
		fmt.Sprintf(`{"index":%d,"function":{"arguments":"{\"city\":"}}`, index),
		fmt.Sprintf(`{"index":%d,"function":{"arguments":"\"%s\"}"}}`, index, city),
	} {
		a.chunk(fmt.Sprintf(`{"index":0,"delta":{"tool_calls":[%s]},"finish_reason":null}`, piece), "null")
	}
}

func (a *chatAnswer) finish(tools bool) {
	reason := "stop"
	if tools {
		reason = "tool_calls"
	}
	a.chunk(fmt.Sprintf(`{"index":0,"delta":{},"finish_reason":%q}`, reason), "null")
	a.chunk("", `{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}`)
	fmt.Fprint(a.w, "data: [DONE]\n\n")
}

func (a *chatAnswer) refuse(status int) {
	a.w.Header().Set("Content-Type", "application/json")
	a.w.WriteHeader(status)
	fmt.Fprint(a.w, `{"error":{"message":"refused","type":"invalid_request_error","param":null,"code":null}}`)
}
