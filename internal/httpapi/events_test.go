package httpapi

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func TestEventsOnTheWire(t *testing.T) {
	t.Parallel()
	var asked jobs.StreamPosition
	waiting := queued()
	waiting.WaitingOn, waiting.Tries = jobs.WaitingOnRetry, 2
	waiting.Position, waiting.ETA = 3, noon.Add(90*time.Second)
	h := start(t, Config{Service: granting(), Follower: streamFunc(
		func(_ context.Context, after jobs.StreamPosition, tell func(...jobs.StreamEvent) error) error {
			asked = after
			return tell(
				jobs.StreamEvent{Type: jobs.StreamStatus, Job: waiting},
				jobs.StreamEvent{Type: jobs.StreamPing},
				jobs.StreamEvent{Type: jobs.StreamDelta, At: jobs.StreamPosition{Fence: 3, Seq: 1}, Data: []byte("{\"a\":\n 1}")},
				jobs.StreamEvent{Type: jobs.StreamRestart, At: jobs.StreamPosition{Fence: 4}},
				jobs.StreamEvent{Type: jobs.StreamDone, Job: succeeded()})
		})})
	got := h.do("GET", "/v1/jobs/"+someID+"/events", "", "Last-Event-ID", "2-17")
	done := strings.TrimSpace(h.do("GET", "/v1/jobs/"+someID, "").body)
	want := `event: status
data: {"status":"queued","waiting_on":"retry","position":3,"eta":"2030-01-31T12:01:30Z","tries":2}

: ping

event: delta
id: 3-1
data: {"a":1}

event: restart
id: 4-0
data: {}

event: done
data: ` + done + "\n\n"
	if got.body != want {
		t.Errorf("got\n%s\nwant\n%s", got.body, want)
	}
	if asked != (jobs.StreamPosition{Fence: 2, Seq: 17}) {
		t.Errorf("asked for what is after %+v", asked)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no",
		"X-Content-Type-Options": "nosniff",
	} {
		if got := got.header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got.header.Get("X-Request-Id") == "" || got.header.Get("Date") == "" {
		t.Errorf("headers %v", got.header)
	}
}

// A listener can tell a stream that is whole from one that was cut: by the last
// chunk, and by done.
func TestAStreamThatIsCut(t *testing.T) {
	t.Parallel()
	for name, follow := range map[string]streamFunc{
		"failed": func(_ context.Context, _ jobs.StreamPosition, tell func(...jobs.StreamEvent) error) error {
			_ = tell(jobs.StreamEvent{Type: jobs.StreamPing})
			return jobs.ErrNotFound
		},
		"panicked": func(_ context.Context, _ jobs.StreamPosition, tell func(...jobs.StreamEvent) error) error {
			_ = tell(jobs.StreamEvent{Type: jobs.StreamPing})
			panic("secret prompt")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Config{Service: granting(), Follower: follow})
			client := http.Client{Transport: h.contract.inner}
			resp, err := client.Get("http://penstock/v1/jobs/" + someID + "/events") //nolint:noctx // the test ends with it
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if _, err := io.ReadAll(resp.Body); err == nil {
				t.Error("the stream looks whole")
			}
			if again := h.do("GET", "/healthz", ""); again.status != 200 {
				t.Errorf("afterwards: %d", again.status)
			}
			h.lines()
			if log := h.log.String(); strings.Contains(log, "secret") || (name == "panicked") != strings.Contains(log, "panic: string") {
				t.Errorf("log: %s", log)
			}
		})
	}
}

// A process that stops ends its streams, whole but without done, and waits for
// them.
func TestStreamsEndWithTheProcess(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: granting(), Follower: streamFunc(
		func(ctx context.Context, _ jobs.StreamPosition, tell func(...jobs.StreamEvent) error) error {
			if err := tell(jobs.StreamEvent{Type: jobs.StreamPing}); err != nil {
				return err
			}
			<-ctx.Done()
			return ctx.Err()
		})})
	client := http.Client{Transport: h.contract.inner}
	resp, err := client.Get("http://penstock/v1/jobs/" + someID + "/events") //nolint:noctx // the test ends with it
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body := bufio.NewReader(resp.Body)
	if line, err := body.ReadString('\n'); line != ": ping\n" {
		t.Fatalf("got %q, %v", line, err)
	}
	h.stop()
	if rest, err := io.ReadAll(body); err != nil || string(rest) != "\n" {
		t.Errorf("got %q, %v", rest, err)
	}
	served := <-h.served
	h.served <- served
	if served != nil {
		t.Errorf("serve: %v", served)
	}
}

func TestAListenerOfHTTP10(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: granting()})
	conn, err := h.dial(t.Context(), "tcp", "penstock:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /v1/jobs/"+someID+"/events HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	head, body, _ := strings.Cut(string(all), "\r\n\r\n")
	if err != nil || strings.Contains(head, "chunked") || !strings.HasPrefix(body, "event: done\ndata: {") {
		t.Errorf("%v\n%s", err, all)
	}
}
