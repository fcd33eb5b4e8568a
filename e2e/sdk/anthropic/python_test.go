package anthropic_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/e2e/sdk/sdktest"
)

// What the models of anthropic-sdk-python require.
var (
	message = []string{
		`id string`, `type "message"`, `role "assistant"`, `model string`, `content array`, `content.0.type "text"`, `content.0.text string`,
		`stop_reason string?`, `stop_sequence string?`, `usage.input_tokens number`, `usage.output_tokens number`,
	}
	batch = []string{
		`id string`, `type "message_batch"`, `processing_status string`, `created_at string`, `expires_at string`, `ended_at string?`,
		`archived_at string?`, `cancel_initiated_at string?`, `results_url string?`, `request_counts.processing number`,
		`request_counts.succeeded number`, `request_counts.errored number`, `request_counts.canceled number`, `request_counts.expired number`,
	}
	failure = []string{`type "error"`, `error.type string`, `error.message string`, `request_id string`}
	page    = []string{`data array`, `has_more boolean`, `first_id string`, `last_id string`}
	events  = map[string][]string{
		"message_start":       {`message.id string`, `message.role "assistant"`, `message.content array`, `message.usage.input_tokens number`, `message.usage.output_tokens number`},
		"content_block_start": {`index number`, `content_block.type "text"`, `content_block.text string`},
		"content_block_delta": {`index number`, `delta.type "text_delta"`, `delta.text string`},
		"content_block_stop":  {`index number`},
		"message_delta":       {`delta.stop_reason string`, `delta.stop_sequence string?`, `usage.output_tokens number`},
		"message_stop":        {`type "message_stop"`},
	}
)

// replayed replays requests of anthropic-sdk-python.
type replayed struct {
	*testing.T

	stack  *sdktest.Stack
	values map[string]string
}

// answer replays a request, and returns the answer if it is what its model requires.
func (r *replayed) answer(name string, status int, wanted ...string) []byte {
	r.Helper()
	got, header, body := r.stack.Replay(r.T, "../testdata/python/anthropic_"+name+".http", r.values)
	if got != status || header.Get("Request-Id") == "" {
		r.Fatalf("%s: got %d %v %s, want %d", name, got, header, body, status)
	}
	if missing := sdktest.Has(body, wanted...); len(wanted) > 0 && len(missing) > 0 {
		r.Errorf("%s: the answer %s lacks %v", name, body, missing)
	}
	return body
}

// stream replays a request for a stream.
func (r *replayed) stream(name string) {
	r.Helper()
	var kinds []string
	for block := range bytes.SplitSeq(bytes.TrimSpace(r.answer(name, http.StatusOK)), []byte("\n\n")) {
		kind, data, _ := strings.Cut(string(block), "\ndata: ")
		kind = strings.TrimPrefix(kind, "event: ")
		if kind == "ping" {
			continue
		}
		if missing := sdktest.Has([]byte(data), append(events[kind], fmt.Sprintf("type %q", kind))...); events[kind] == nil || missing != nil {
			r.Errorf("%s: the event %s lacks %v", name, block, missing)
		}
		kinds = append(kinds, kind)
	}
	if len(kinds) < 6 || kinds[0] != "message_start" || kinds[len(kinds)-1] != "message_stop" {
		r.Errorf("%s: got the events %v", name, kinds)
	}
}

// TestPython replays what anthropic-sdk-python sends, and looks for what it requires of
// the answers.
func TestPython(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	r := &replayed{T: t, stack: s, values: map[string]string{}}
	first := r.answer("messages_create", http.StatusOK, message...)
	calls := s.Calls()
	if again := r.answer("messages_create_retry", http.StatusOK, message...); !bytes.Equal(first, again) || s.Calls() != calls {
		t.Errorf("a retry got %s, want what its first try had: %s", again, first)
	}
	r.answer("beta_messages_create", http.StatusOK, message...)
	r.answer("messages_count_tokens", http.StatusOK, "input_tokens number")
	r.answer("messages_create_unknown_model", http.StatusNotFound, failure...)
	r.stream("messages_create_stream")
	r.stream("messages_stream")

	r.batches()
}

// batches replays the life of a batch.
func (r *replayed) batches() {
	r.Helper()
	var made struct {
		ID     string `json:"id"`
		Status string `json:"processing_status"`
		URL    string `json:"results_url"`
	}
	for range 2 {
		r.read(&made, r.answer("batches_create", http.StatusOK, batch...))
	}
	r.values["batch"] = made.ID
	r.answer("batches_list", http.StatusOK, append(page, `data.0.id string`)...)
	r.answer("batches_list_after", http.StatusOK, append(page, `data.0.id string`)...)
	r.answer("batches_list_before", http.StatusOK, `data array`, `has_more boolean`)
	deadline := time.Now().Add(time.Minute)
	for made.Status != "ended" && time.Now().Before(deadline) {
		r.read(&made, r.answer("batches_retrieve", http.StatusOK, batch...))
	}
	r.values["results_url"] = made.URL
	lines := bytes.Split(bytes.TrimSpace(r.answer("batches_results", http.StatusOK)), []byte("\n"))
	for _, line := range lines {
		wanted := []string{`custom_id string`, `result.type "succeeded"`}
		for _, want := range message {
			wanted = append(wanted, "result.message."+want)
		}
		if missing := sdktest.Has(line, wanted...); missing != nil {
			r.Errorf("the result %s lacks %v", line, missing)
		}
	}
	if len(lines) != 3 {
		r.Errorf("got %d results, want 3", len(lines))
	}
	r.answer("batches_cancel", http.StatusOK, batch...)
	r.answer("batches_delete", http.StatusOK, `id string`, `type "message_batch_deleted"`)
	r.answer("batches_retrieve_missing", http.StatusNotFound, failure...)
}

func (r *replayed) read(into any, body []byte) {
	r.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		r.Fatal(err)
	}
}
