package openai_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/e2e/sdk/sdktest"
)

// What the models of openai-python require.
var (
	completion = []string{
		`id string`, `object "chat.completion"`, `created number`, `model string`, `choices.0.index number`, `choices.0.finish_reason string`,
		`choices.0.message.role "assistant"`, `choices.0.message.content string`, `usage.prompt_tokens number`,
		`usage.completion_tokens number`, `usage.total_tokens number`,
	}
	piece = []string{`id string`, `object "chat.completion.chunk"`, `created number`, `model string`, `choices array`}

	embeddings = []string{
		`object "list"`, `model string`, `data.0.object "embedding"`, `data.0.index number`, `data.1.index number`,
		`usage.prompt_tokens number`, `usage.total_tokens number`,
	}
	response = []string{
		`id string`, `object "response"`, `created_at number`, `status string`, `error object?`, `incomplete_details object?`,
		`instructions string?`, `metadata object?`, `model string`, `output array`, `parallel_tool_calls boolean`, `temperature number?`,
		`tools array`, `top_p number?`, `background boolean`,
	}
	file  = []string{`id string`, `object "file"`, `bytes number`, `created_at number`, `filename string`, `purpose "batch"`, `status string`}
	batch = []string{
		`id string`, `object "batch"`, `completion_window "24h"`, `created_at number`, `endpoint "/v1/chat/completions"`,
		`input_file_id string`, `status string`, `output_file_id string?`, `error_file_id string?`, `completed_at number?`,
		`request_counts.total number`, `request_counts.completed number`, `request_counts.failed number`, `metadata.origin "python"`,
	}
	model   = []string{`id "default"`, `object "model"`, `created number`, `owned_by string`}
	page    = []string{`object "list"`, `data array`, `has_more boolean`, `data.0.id string`}
	failure = []string{`error.message string`, `error.type string`, `error.code string?`, `error.param string?`}
)

// replayed replays requests of openai-python.
type replayed struct {
	*testing.T

	stack  *sdktest.Stack
	values map[string]string
}

// answer replays a request, and returns the answer if it is what its model requires.
func (r *replayed) answer(name string, status int, wanted ...string) []byte {
	r.Helper()
	got, header, body := r.stack.Replay(r.T, "../testdata/python/openai_"+name+".http", r.values)
	if got != status || header.Get("X-Request-Id") == "" {
		r.Fatalf("%s: got %d %v %s, want %d", name, got, header, body, status)
	}
	if missing := sdktest.Has(body, wanted...); len(wanted) > 0 && len(missing) > 0 {
		r.Errorf("%s: the answer %s lacks %v", name, body, missing)
	}
	return body
}

// events replays a request for a stream, and returns the data of its events.
func (r *replayed) events(name string) (data [][]byte) {
	r.Helper()
	for block := range bytes.SplitSeq(bytes.TrimSpace(r.answer(name, http.StatusOK)), []byte("\n\n")) {
		for line := range bytes.Lines(block) {
			if rest, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data: ")); ok {
				data = append(data, rest)
			}
		}
	}
	return data
}

func (r *replayed) read(into any, body []byte) {
	r.Helper()
	if err := json.Unmarshal(body, into); err != nil {
		r.Fatal(err)
	}
}

// TestPython replays what openai-python sends, and looks for what it requires of the
// answers.
func TestPython(t *testing.T) {
	t.Parallel()
	s, _ := start(t)
	r := &replayed{T: t, stack: s, values: map[string]string{}}
	r.answer("models_list", http.StatusOK, `object "list"`, `data.0.id string`, `data.0.object "model"`, `data.0.owned_by string`)
	r.answer("models_retrieve", http.StatusOK, model...)
	first := r.answer("chat_create", http.StatusOK, completion...)
	calls := s.Calls()
	if again := r.answer("chat_create_retry", http.StatusOK, completion...); !bytes.Equal(first, again) || s.Calls() != calls {
		t.Errorf("a retry got %s, want what its first try had: %s", again, first)
	}
	r.answer("chat_create_unknown_model", http.StatusNotFound, append(failure, `error.code "model_not_found"`)...)
	r.answer("embeddings_create", http.StatusOK, embeddings...)
	r.chunks()
	r.responses()
	r.batches()
}

// chunks replays a chat completion that is streamed.
func (r *replayed) chunks() {
	r.Helper()
	all := r.events("chat_create_stream")
	last := len(all) - 1
	if last < 2 || string(all[last]) != "[DONE]" {
		r.Fatalf("got the events %q", all)
	}
	for _, data := range all[:last] {
		if missing := sdktest.Has(data, piece...); missing != nil {
			r.Errorf("the chunk %s lacks %v", data, missing)
		}
	}
	if missing := sdktest.Has(all[last-1], `usage.total_tokens number`); missing != nil {
		r.Errorf("the last chunk %s lacks %v", all[last-1], missing)
	}
}

// named is what later requests need of an answer.
type named struct {
	ID     string `json:"id"`
	Status string `json:"status"`
	Output string `json:"output_file_id"`
}

// responses replays the lives of responses.
func (r *replayed) responses() {
	r.Helper()
	var made named
	r.read(&made, r.answer("responses_create", http.StatusOK, append(response, `output.0.content.0.text string`, `usage.total_tokens number`)...))
	r.values["response"] = made.ID
	r.answer("responses_retrieve", http.StatusOK, append(response, `status "completed"`)...)
	r.answer("responses_input_items", http.StatusOK, append(page, `data.0.content.0.text "Say something"`)...)
	r.story("responses_create_stream", 0)
	r.story("responses_retrieve_stream", 3)
	r.answer("responses_delete", http.StatusOK)
	r.answer("responses_retrieve", http.StatusNotFound, failure...)
	r.read(&made, r.answer("responses_create_background", http.StatusOK, append(response, `status string`)...))
	r.values["response"] = made.ID
	r.answer("responses_cancel", http.StatusOK, append(response, `id "`+made.ID+`"`)...)
}

// story replays a response that is streamed from an event on.
func (r *replayed) story(name string, from int) {
	r.Helper()
	all := r.events(name)
	for i, data := range all {
		var e struct {
			Type   string `json:"type"`
			Number int    `json:"sequence_number"`
		}
		if r.read(&e, data); e.Number != from+i || (e.Type == "response.completed") != (i == len(all)-1) {
			r.Errorf("%s: event %d of %d is %s", name, i, len(all), data)
		}
	}
	if missing := sdktest.Has(all[len(all)-1], `response.id string`, `response.output.0.content.0.text string`); missing != nil {
		r.Errorf("%s: the last event %s lacks %v", name, all[len(all)-1], missing)
	}
}

// batches replays the life of a batch and of its files.
func (r *replayed) batches() {
	r.Helper()
	var input, made, another named
	r.read(&input, r.answer("files_create", http.StatusOK, append(file, `filename "requests.jsonl"`, `expires_at number`)...))
	r.values["file"] = input.ID
	r.answer("files_list", http.StatusOK, page...)
	r.answer("files_retrieve", http.StatusOK, file...)
	r.read(&another, r.answer("batches_create", http.StatusOK, batch...))
	r.read(&made, r.answer("batches_create", http.StatusOK, batch...))
	r.values["batch"] = made.ID
	r.answer("batches_list", http.StatusOK, append(page, `data.0.id "`+made.ID+`"`)...)
	r.answer("batches_list_after", http.StatusOK, append(page, `data.0.id "`+another.ID+`"`)...)
	r.ended(another.ID)
	made = r.ended(made.ID)
	r.values["output_file"] = made.Output
	lines := strings.Split(strings.TrimSpace(string(r.answer("files_content", http.StatusOK))), "\n")
	for _, line := range lines {
		wanted := []string{`id string`, `custom_id string`, `response.status_code number`, `response.request_id string`}
		for _, want := range completion {
			wanted = append(wanted, "response.body."+want)
		}
		if missing := sdktest.Has([]byte(line), wanted...); missing != nil {
			r.Errorf("the answer %s lacks %v", line, missing)
		}
	}
	if len(lines) != 3 {
		r.Errorf("got %d answers, want 3", len(lines))
	}
	r.answer("batches_cancel", http.StatusOK, append(batch, `status "completed"`)...)
	r.answer("files_delete", http.StatusOK, `id "`+input.ID+`"`, `object "file"`, `deleted boolean`)
	r.answer("files_retrieve", http.StatusNotFound, failure...)
}

// ended returns the batch once it has.
func (r *replayed) ended(id string) (b named) {
	r.Helper()
	r.values["batch"] = id
	for deadline := time.Now().Add(time.Minute); b.Status != "completed"; {
		if time.Now().After(deadline) {
			r.Fatalf("the batch is %s", b.Status)
		}
		pause(r.T)
		r.read(&b, r.answer("batches_retrieve", http.StatusOK, batch...))
	}
	return b
}

func pause(t *testing.T) {
	t.Helper()
	select {
	case <-t.Context().Done():
		t.Fatal("the test has ended")
	case <-time.After(20 * time.Millisecond):
	}
}
