package app

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
)

// follow reads a job's stream to its end, cut off and taken up again after each
// cut events, and returns the text that the deltas make, how often the stream
// began anew, and the job as it ended.
func (s *stack) follow(id string, cut int) (text string, restarts int, ended answer) {
	s.t.Helper()
	last := ""
	for {
		req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://penstock/v1/jobs/"+id+"/events", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		if last != "" {
			req.Header.Set("Last-Event-ID", last)
		}
		resp, err := s.client.Do(req)
		if err != nil {
			s.t.Fatal(err)
		}
		over := s.read(resp.Body, cut, &last, func(event, data string) {
			switch event {
			case "delta":
				text += deltaOf(s.t, data)
			case "restart":
				text, restarts = "", restarts+1
			case "done":
				if err := json.Unmarshal([]byte(data), &ended); err != nil {
					s.t.Errorf("done: %v", err)
				}
			}
		})
		_ = resp.Body.Close()
		if over {
			return text, restarts, ended
		}
	}
}

// read reads events until there have been cut of them, none if cut is zero, and
// reports whether the last was done.
func (s *stack) read(from io.Reader, cut int, last *string, tell func(event, data string)) bool {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, 1<<20)
	event, seen := "", 0
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			event = value
		case "id":
			*last = value
		case "data":
			tell(event, value)
			if event == "done" {
				return true
			}
			if seen++; seen == cut {
				return false
			}
		}
	}
	s.t.Errorf("the stream ended without done: %v", lines.Err())
	return true
}

func deltaOf(t *testing.T, data string) string {
	t.Helper()
	var chunk struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
	}
	if err := json.Unmarshal([]byte(data), &chunk); err != nil {
		t.Errorf("delta %q: %v", data, err)
	}
	if len(chunk.Choices) == 0 {
		return ""
	}
	return chunk.Choices[0].Delta.Content
}

// What listeners were shown is what the answer is in the end, also when they
// come late, are cut off, or a run fails half-way and another begins.
func TestWhatIsShownIsTheAnswer(t *testing.T) {
	t.Parallel()
	faults := writeFile(t, `{"latency": "200ms", "per_token": "50ms", "output_tokens": {"min": 10, "max": 30},
		"errors": {"truncated": 0.6}}`)
	file := File{
		Providers: map[string]ProviderConfig{"sim": {Type: "simulated", Faults: faults, Seed: 3}},
		Routes:    map[string]RouteConfig{"default": {Targets: []string{"sim/sim-1"}, MaxAttempts: 40}},
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := startStack(t, dir, file)
		defer s.stop()
		var all sync.WaitGroup
		var mu sync.Mutex
		restarted := 0
		for i := range 10 {
			id := s.submit(fmt.Sprintf("prompt %d", i), "").ID
			for cut := range 4 {
				all.Go(func() {
					text, restarts, job := s.follow(id, 3*cut)
					var result struct {
						Choices []struct {
							Message struct {
								Content string `json:"content"`
							} `json:"message"`
						} `json:"choices"`
					}
					if err := json.Unmarshal(job.Result, &result); err != nil || len(result.Choices) != 1 {
						t.Errorf("job %s: %s %s (%v)", job.ID, job.Status, job.Result, err)
						return
					}
					if want := result.Choices[0].Message.Content; text != want || job.Status != "succeeded" {
						t.Errorf("cut after %d events: shown %q, the answer is %q", 3*cut, text, want)
					}
					mu.Lock()
					restarted += restarts
					mu.Unlock()
				})
			}
		}
		all.Wait()
		if restarted == 0 {
			t.Error("no run failed half-way: the test shows nothing")
		}
	})
}
