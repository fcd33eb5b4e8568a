package app

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
)

// post sends JSON, and returns the status and the body.
func (s *stack) post(path, body string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, "http://penstock"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(raw)
}

const chatRequest = `{"model":"default","messages":[{"role":"user","content":"hi"}]}`

func TestAChatCompletionIsAJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startStack(t, t.TempDir(), embeddedFile())
		defer s.stop()
		status, body := s.post("/v1/chat/completions", chatRequest)
		var got struct {
			Object string `json:"object"`
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || got.Object != "chat.completion" {
			t.Errorf("got %d %s", status, body)
		}
		status, body = s.post("/v1/chat/completions", strings.Replace(chatRequest, "{", `{"stream":true,`, 1))
		if status != 200 || !strings.HasSuffix(body, "data: [DONE]\n\n") || strings.Contains(body, "usage") {
			t.Errorf("got %d %s", status, body)
		}
		if jobs := s.do(http.MethodGet, "/v1/jobs", "").Data; len(jobs) != 2 {
			t.Errorf("%d jobs were made, want 2", len(jobs))
		}
	})
}

func TestSurfacesAreSwitchedOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		file := embeddedFile()
		file.Surfaces = SurfacesConfig{OpenAI: new(false), Anthropic: new(false)}
		s := startStack(t, t.TempDir(), file)
		defer s.stop()
		for _, path := range []string{"/v1/chat/completions", "/v1/messages"} {
			if status, body := s.post(path, chatRequest); status != 404 || !strings.Contains(body, "about:blank") {
				t.Errorf("%s: got %d %s, want a problem of Penstock's own", path, status, body)
			}
		}
	})
}

// get asks, and returns the body.
func (s *stack) get(path string) string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://penstock"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.client.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(raw)
}

// A response in the background is streamed while it is made and when it is there, by
// the same events.
func TestAResponseIsAJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := startStack(t, t.TempDir(), embeddedFile())
		defer s.stop()
		const request = `{"model":"default","input":"hi","background":true,"metadata":{"a":"b"}`
		status, body := s.post("/v1/responses", request+"}")
		var got struct {
			ID     string `json:"id"`
			Status string `json:"status"`
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil || status != 200 || got.Status != "queued" {
			t.Fatalf("got %d %s", status, body)
		}
		live := s.get("/v1/responses/" + got.ID + "?stream=true")
		later := s.get("/v1/responses/" + got.ID + "?stream=true")
		if live != later || !strings.Contains(live, "event: response.completed\n") || strings.Count(live, "output_text.delta") < 10 {
			t.Errorf("live:\n%s\nlater:\n%s", live, later)
		}
		part := s.get("/v1/responses/" + got.ID + "?stream=true&starting_after=7")
		if _, rest, _ := strings.Cut(live, `"sequence_number":7,`); !strings.HasSuffix(rest, part) || !strings.Contains(part, `"sequence_number":8,`) {
			t.Errorf("after 7:\n%s", part)
		}
		if body = s.get("/v1/responses/" + got.ID); !strings.Contains(body, `"status":"completed"`) || !strings.Contains(body, got.ID) {
			t.Errorf("got %s", body)
		}
		status, body = s.post("/v1/responses", request+`,"stream":true}`)
		if status != 200 || strings.Count(body, "event: response.") != strings.Count(live, "event: response.") {
			t.Errorf("got %d %s", status, body)
		}
	})
}
