package app

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// A job's result is the body of its own endpoint, whether the provider has that or
// not, and what cannot be asked is refused at the door with the field.
func TestEachEndpointIsAnsweredInItsOwnForm(t *testing.T) {
	t.Parallel()
	file := File{
		Providers: map[string]ProviderConfig{
			"sim":    {Type: "simulated"}, // has Responses, and not Messages
			"claude": {Type: "anthropic", BaseURL: "http://127.0.0.1:1/v1"},
			"local":  {Type: "openai", BaseURL: "http://127.0.0.1:1/v1"},
		},
		Routes: map[string]RouteConfig{"default": {Targets: []string{"sim/sim-1"}}},
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := startStack(t, dir, file)
		defer s.stop()
		for endpoint, request := range map[string]string{
			"/v1/chat/completions": `{"model":"default","messages":[{"role":"user","content":"x"}]}`,
			"/v1/embeddings":       `{"model":"default","input":"x"}`,
			"/v1/responses":        `{"model":"default","input":"x","truncation":"auto"}`,
			"/v1/messages":         `{"model":"default","max_tokens":5000,"messages":[{"role":"user","content":"x"}]}`,
		} {
			job := s.do(http.MethodPost, "/v1/jobs", `{"endpoint":"`+endpoint+`","request":`+request+`}`)
			var result struct {
				Object     string `json:"object"`
				Type       string `json:"type"`
				Status     string `json:"status"`
				StopReason string `json:"stop_reason"`
			}
			if err := json.Unmarshal(s.wait(job.ID).Result, &result); err != nil {
				t.Fatalf("%s: %v", endpoint, err)
			}
			want := map[string]string{
				"/v1/chat/completions": "chat.completion", "/v1/embeddings": "list",
				"/v1/responses": "response completed", "/v1/messages": "message end_turn",
			}[endpoint]
			if got := strings.Join(strings.Fields(result.Object+" "+result.Type+" "+result.Status+" "+result.StopReason), " "); got != want {
				t.Errorf("%s: got the result of %q, want %q", endpoint, got, want)
			}
		}
		for _, c := range []struct{ endpoint, request, pointer string }{
			{"/v1/responses", `{"model":"default","input":"x","previous_response_id":"resp_1"}`, "/request/previous_response_id"},
			{"/v1/responses", `{"model":"local/m","input":"x","truncation":"auto"}`, "/request/truncation"},
			{"/v1/responses", `{"model":"claude/m","input":"x","text":{"format":{"type":"json_object"}}}`, "/request/text/format"},
			{"/v1/messages", `{"model":"default","max_tokens":5,"top_k":3,"messages":[{"role":"user","content":"x"}]}`, "/request/top_k"},
			{"/v1/embeddings", `{"model":"claude/m","input":"x"}`, "/endpoint"},
		} {
			if got := s.refused(`{"endpoint":"` + c.endpoint + `","request":` + c.request + `}`); !strings.Contains(got, `"pointer":"`+c.pointer+`"`) {
				t.Errorf("%s: got %s, want 400 naming %s", c.request, got, c.pointer)
			}
		}
	})
}

// refused is what a submission is refused with.
func (s *stack) refused(job string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://penstock/v1/jobs", strings.NewReader(job))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusBadRequest {
		s.t.Errorf("got %s: %s, want 400", resp.Status, said)
	}
	return string(said)
}
