package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/client"
)

// The pieces of an answer are the answer, however often the connection is cut.
func TestEvents(t *testing.T) {
	t.Parallel()
	for name, cuts := range map[string]int32{"whole": 0, "cut": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var streams atomic.Int32
			at := between(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				if strings.HasSuffix(r.URL.Path, "/events") && streams.Add(1) <= cuts {
					w = &cutting{ResponseWriter: w, left: 2500}
				}
				next.ServeHTTP(w, r)
			})
			c, ctx := newClient(t, at), bounded(t)
			job, err := c.Submit(ctx, client.NewJob{Request: chat("slow", "tell me "+name)})
			if err != nil {
				t.Fatal(err)
			}
			var types []client.EventType
			var ids []string
			told := ""
			for e, err := range c.Events(ctx, job.ID) {
				if err != nil {
					t.Fatal(err)
				}
				types = append(types, e.Type)
				switch e.Type {
				case client.EventDelta:
					ids = append(ids, e.ID)
					told += piece(t, e.Delta)
				case client.EventDone:
					job = e.Job
				default:
				}
			}
			var answer completion
			if err := job.Decode(&answer); err != nil || told != answer.Choices[0].Message.Content {
				t.Errorf("%v: told %q, the answer is %s", err, told, job.Result)
			}
			if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) || len(ids) < 10 {
				t.Errorf("ids %v", ids)
			}
			if types[0] != client.EventStatus || types[len(types)-1] != client.EventDone || slices.Contains(types, client.EventRestart) {
				t.Errorf("types %v", types)
			}
			if got := streams.Load(); got != cuts+1 {
				t.Errorf("%d connections, want %d", got, cuts+1)
			}
		})
	}
}

// piece is what a delta of a chat completion says.
func piece(t *testing.T, delta json.RawMessage) string {
	t.Helper()
	var chunk struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
		} `json:"choices"`
	}
	if err := json.Unmarshal(delta, &chunk); err != nil {
		t.Fatalf("%v: %s", err, delta)
	}
	text := ""
	for _, choice := range chunk.Choices {
		text += choice.Delta.Content
	}
	return text
}

// cutting cuts the connection after so many bytes.
type cutting struct {
	http.ResponseWriter

	mu   sync.Mutex
	left int
}

func (c *cutting) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.left -= len(p); c.left < 0 {
		panic(http.ErrAbortHandler)
	}
	return c.ResponseWriter.Write(p)
}

func (c *cutting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func TestEventsAreLeft(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t, ""), bounded(t)
	job, err := c.Submit(ctx, client.NewJob{Request: chat("slow", "leave me")})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range c.Events(ctx, job.ID) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for e, err := range c.EventsAfter(ctx, job.ID, "1-3") {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("after a cancel: %v", err)
			}
			break
		}
		if e.Type == client.EventDone {
			t.Error("it went on")
		}
		cancel()
	}
	for _, err := range c.Events(t.Context(), uuid.New()) {
		if codeOf(err) != client.CodeNotFound {
			t.Errorf("nobody's job: %v", err)
		}
	}
}

const done = "event: done\ndata: {\"id\":\"" + anID + "\",\"status\":\"succeeded\"}\n\n"

// tell writes a piece of a stream at once.
func tell(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

// A connection that is silent for too long is dead; one with comments is not.
func TestASilentStreamIsMadeAgain(t *testing.T) {
	t.Parallel()
	bubble(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			if got := r.Header.Get("Last-Event-ID"); got != "1-1" {
				t.Errorf("it goes on behind %q", got)
			}
			tell(w, done)
			return
		}
		tell(w, "event: delta\nid: 1-1\ndata: {}\n\n")
		for range 8 {
			time.Sleep(15 * time.Second)
			tell(w, ": ping\n\n")
		}
		<-r.Context().Done()
	}, func(s *scripted) {
		var types []client.EventType
		for e, err := range s.client.Events(s.t.Context(), uuid.MustParse(anID)) {
			if err != nil {
				s.t.Fatal(err)
			}
			types = append(types, e.Type)
		}
		if !slices.Equal(types, []client.EventType{client.EventDelta, client.EventDone}) {
			s.t.Errorf("got %v", types)
		}
		if again := s.times()[1].at; again < 165*time.Second || again > 167*time.Second {
			s.t.Errorf("made again after %s, want 45 s after the last ping", again)
		}
	})
}

// A stream that always breaks is made again once a second while it tells something, and
// given up when it does not.
func TestAStreamThatBreaks(t *testing.T) {
	t.Parallel()
	bubble(t, func(n int, w http.ResponseWriter, _ *http.Request) {
		if n < 20 {
			tell(w, "event: status\ndata: {\"status\":\"queued\"}\n\nevent: status\ndata: {\"status\":\"run")
		}
	}, func(s *scripted) {
		told := 0
		var end error
		for e, err := range s.client.Events(s.t.Context(), uuid.MustParse(anID)) {
			if end = err; err == nil {
				told++
			}
			if err == nil && e.Job.Status != client.StatusQueued {
				s.t.Errorf("%+v", e)
			}
		}
		seen := s.times()
		if told != 20 || len(seen) != 25 || !errors.Is(end, io.ErrUnexpectedEOF) {
			s.t.Errorf("told %d, %d connections, %v", told, len(seen), end)
		}
		if seen[19].at < 19*time.Second {
			s.t.Errorf("the 20th connection was after %s", seen[19].at)
		}
	})
}

func TestAnEventThatMakesNoSense(t *testing.T) {
	t.Parallel()
	bubble(t, func(_ int, w http.ResponseWriter, _ *http.Request) { tell(w, "event: status\ndata: nonsense\n\n"+done) },
		func(s *scripted) {
			for _, err := range s.client.Events(s.t.Context(), uuid.MustParse(anID)) {
				if err == nil {
					s.t.Error("it made sense")
				}
			}
			if len(s.times()) != 1 {
				s.t.Errorf("asked %d times", len(s.times()))
			}
		})
}
