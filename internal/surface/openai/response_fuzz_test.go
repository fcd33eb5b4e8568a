package openai

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/surface"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// FuzzResponseStream: whatever pieces come, the events that are told of them are
// well-formed; and if the answer is told to its end, they are those of the answer alone,
// from any of them on. Lines are pieces, or the word restart; the last is the answer,
// none if it is empty.
func FuzzResponseStream(f *testing.F) {
	whole := oneLine(answered)
	for _, lines := range [][]string{
		{whole},
		{""},
		{nativePieces[0], ""},
		{"restart", nativePieces[0], whole},
		append(slices.Clone(nativePieces), whole), append(slices.Clone(nativePieces), "restart", whole),
		append(slices.Clone(chatPieces), oneLine(translated)), append(slices.Clone(chatPieces), whole),
	} {
		f.Add(strings.Join(lines, "\n"))
	}
	f.Fuzz(func(t *testing.T, input string) {
		lines := strings.Split(input, "\n")
		checkTold(t, lines[:len(lines)-1], lines[len(lines)-1])
	})
}

// FuzzResponseOrder is FuzzResponseStream for pieces that are well-formed, in any order:
// each byte is one, the last chooses among answers, of which one has all that was said in
// chunks.
func FuzzResponseOrder(f *testing.F) {
	words := slices.Concat(nativePieces, chatPieces, []string{
		`{"type":"response.output_item.done","output_index":1,"item":{"id":"msg_1","type":"message","content":[]}}`,
		`{"type":"response.output_item.done","output_index":0,"item":{"id":"fc_1","type":"function_call","name":"f","arguments":"{\"a\": 1}"}}`,
		`{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}`,
		`{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}`,
		`{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":" of words"}`,
		`{"id":"1","choices":[{"index":0,"delta":{"content":"\ud83d"}}]}`, `{"id":"1","choices":[{"index":0,"delta":{"content":"\ude00 "}}]}`,
		`{"id":"1","choices":[{"index":1,"delta":{"content":"of another"}}]}`, `{"id":"1","choices":[{"index":0,"delta":{"refusal":"no"}}]}`,
		`{"id":"1","choices":[],"usage":{}}`, `[]`, `{`, "restart",
	})
	for _, order := range [][]byte{
		{0}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 1}, {11, 12, 13, 14, 15, 2}, {12, 21, 22, 3}, {12, 28, 13, 3}, {18, 19, 20, 4}, {4, 3}, {17, 17, 0},
	} {
		f.Add(order)
	}
	f.Fuzz(func(t *testing.T, order []byte) {
		if len(order) == 0 || len(order) > 64 {
			return
		}
		var pieces []string
		var said strings.Builder
		for _, n := range order[:len(order)-1] {
			piece := words[int(n)%len(words)]
			pieces = append(pieces, piece)
			if _, text, ok := strings.Cut(piece, `{"index":0,"delta":{"content":"`); ok {
				said.WriteString(strings.TrimSuffix(text, `"}}]}`))
			}
		}
		message := `{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"` + said.String() + `"}]}`
		answers := []string{
			"", oneLine(answered), oneLine(translated), `{"status":"incomplete","output":[` + message + `]}`,
			`{"output":[` + strings.Replace(message, said.String(), " of words of words", 1) + `]}`,
		}
		checkTold(t, pieces, answers[int(order[len(order)-1])%len(answers)])
	})
}

// checkTold has the pieces told, and the answer.
func checkTold(t *testing.T, pieces []string, answer string) {
	t.Helper()
	told := toldResponse{run: 1, pieces: pieces, answer: answer}
	all := told.events(t, nothingTold)
	if !wasTold(all) {
		return
	}
	alone := toldResponse{run: told.run, answer: answer}
	last := 0
	for i, piece := range pieces {
		if piece == "restart" {
			last = i + 1
		}
	}
	again := toldResponse{run: told.run, pieces: pieces[last:], answer: answer} // who comes back hears of the last run
	compareEvents(t, "without pieces", alone.events(t, nothingTold), all)
	for i, e := range all {
		if i > 10 && i < len(all)-10 {
			continue
		}
		compareEvents(t, fmt.Sprint("without pieces, after ", e.Number), alone.events(t, e.Number), all[i+1:])
		compareEvents(t, fmt.Sprint("after ", e.Number), again.events(t, e.Number), all[i+1:])
	}
}

func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }

// toldResponse is a response, and all that a surface needs to tell of it.
type toldResponse struct {
	Jobs

	pieces []string
	answer string
	// run is the fence of that which is under way.
	run int64
}

func (r *toldResponse) job() jobs.Job {
	j := jobs.Job{ID: uuid.UUID{1}, Endpoint: providers.Responses, Status: jobs.StatusFailed, Error: &jobs.JobError{Code: "overloaded"}}
	if r.answer != "" {
		j.Status, j.Error, j.Result = jobs.StatusSucceeded, nil, json.RawMessage(r.answer)
	}
	return j
}

func (r *toldResponse) Job(context.Context, string, uuid.UUID) (jobs.Job, error) { return r.job(), nil }

func (r *toldResponse) Request(context.Context, string, uuid.UUID) (jobs.Request, error) {
	return jobs.Request{Body: json.RawMessage(`{"model":"m","input":"x"}`)}, nil
}

func (r *toldResponse) Calls(context.Context, string, uuid.UUID) ([]jobs.Call, error) {
	return []jobs.Call{{Status: jobs.CallSuccess, Fence: r.run}}, nil
}

func (r *toldResponse) Open(context.Context, string, uuid.UUID) (jobs.Stream, error) { return r, nil }

func (r *toldResponse) Close() {}

// Run tells of all pieces, one after another.
func (r *toldResponse) Run(_ context.Context, _ jobs.StreamPosition, tell func(...jobs.StreamEvent) error) error {
	running := r.job()
	running.Status = jobs.StatusRunning
	if err := tell(jobs.StreamEvent{Type: jobs.StreamStatus, Job: running}); err != nil {
		return err
	}
	for i, piece := range r.pieces {
		e := jobs.StreamEvent{Type: jobs.StreamDelta, Data: json.RawMessage(piece)}
		if piece == "restart" {
			e = jobs.StreamEvent{Type: jobs.StreamRestart}
			r.run++
		}
		e.At = jobs.StreamPosition{Fence: r.run, Seq: i}
		if err := tell(e); err != nil {
			return err
		}
	}
	return tell(jobs.StreamEvent{Type: jobs.StreamDone, Job: r.job()})
}

// toldEvent is what is looked at in an event.
type toldEvent struct {
	Type    string          `json:"type"`
	Number  int64           `json:"sequence_number"`
	Output  int             `json:"output_index"`
	Content int             `json:"content_index"`
	Delta   string          `json:"delta"`
	Item    json.RawMessage `json:"item"`
	// The texts of done events.
	Text      string `json:"text"`
	Refusal   string `json:"refusal"`
	Arguments string `json:"arguments"`
}

// events asks for those after a number, and fails the test unless they are well-formed.
func (r *toldResponse) events(t *testing.T, after int64) []toldEvent {
	t.Helper()
	s := New(Config{Jobs: r, Follower: r})
	path := "/v1/responses/" + surface.ResponseID(uuid.UUID{1}) + "?stream=true"
	if after > nothingTold {
		path += fmt.Sprint("&starting_after=", after)
	}
	c := &surface.Caller{WriteTimeout: time.Minute, Server: noServer{}}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequestWithContext(surface.WithCaller(t.Context(), c), "GET", path, nil))
	if w.Code != 200 {
		t.Fatalf("after %d: got %d %s", after, w.Code, w.Body)
	}
	var all []toldEvent
	for text := range strings.SplitSeq(strings.TrimSuffix(w.Body.String(), "\n\n"), "\n\n") {
		name, data, _ := strings.Cut(text, "\ndata: ")
		var e toldEvent
		if text == "" {
			break
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil || "event: "+e.Type != name {
			t.Fatalf("no event: %q: %v", text, err)
		}
		all = append(all, e)
	}
	if after == nothingTold {
		checkEvents(t, all)
	}
	return all
}

// noServer has a place for everybody.
type noServer struct{ surface.Server }

func (noServer) Wait() (context.Context, func(), error) { return context.Background(), func() {}, nil }

// wasTold reports whether the answer was told to its end.
func wasTold(all []toldEvent) bool {
	last := all[len(all)-1].Type
	return last == "response.completed" || last == "response.incomplete"
}

func compareEvents(t *testing.T, what string, got, want []toldEvent) {
	t.Helper()
	line := func(e toldEvent) string { return fmt.Sprintln(e.Number, e.Type, e.Output, e.Content, e.Delta) }
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || line(got[i]) != line(want[i]) {
			t.Fatalf("%s, event %d: got %+v\nwant %+v", what, i, got[min(i, len(got)):], want[min(i, len(want)):])
		}
	}
}

// checkEvents fails the test unless the events are those of a response from its
// beginning, as OpenAI's clients put it together.
func checkEvents(t *testing.T, all []toldEvent) {
	t.Helper()
	heads := []string{"response.created", "response.queued", "response.in_progress"}
	var c toldItems
	for i, e := range all {
		last := i == len(all)-1
		switch ends := slices.Contains([]string{"response.completed", "response.incomplete", "response.failed", "error"}, e.Type); {
		case ends != last:
			t.Fatalf("%s is event %d of %d", e.Type, i, len(all))
		case e.Type == "error":
			return
		case i < len(heads) && e.Type != heads[i]:
			t.Fatalf("event %d: got %s, want %s", i, e.Type, heads[i])
		case e.Number&(1<<runBits-1) != int64(i) || i > len(heads) && e.Number != all[i-1].Number+1:
			t.Fatalf("event %d has the number %d", i, e.Number)
		}
		if err := c.add(e); err != "" {
			t.Fatalf("event %d, %+v: %s", i, e, err)
		}
	}
	if wasTold(all) && (c.open || c.inPart) {
		t.Fatal("the response has ended in the middle of an item")
	}
}

// toldItems is the output of a response as a client puts it together, one item and one
// part after another.
type toldItems struct {
	// items is how many there are, parts how many the last has; it is open until it is
	// done, and so is its last part.
	items, parts int
	open, inPart bool
	said         strings.Builder
}

// add says what is wrong with the next event.
func (c *toldItems) add(e toldEvent) string {
	kind := strings.TrimPrefix(e.Type, "response.")
	switch ofItem := e.Output == c.items-1 && c.open; {
	case kind == "output_item.added":
		if c.open || e.Output != c.items {
			return "an item begins out of order"
		}
		c.items, c.parts, c.open = c.items+1, 0, true
		c.said.Reset()
		return ""
	case !strings.HasPrefix(kind, "output_") && !strings.HasPrefix(kind, "content_part") && !strings.Contains(kind, "refusal.") &&
		!strings.HasPrefix(kind, "function_call"):
		return ""
	case !ofItem:
		return "no such item is open"
	case kind == "output_item.done":
		if c.inPart {
			return "an item ends in the middle of a part"
		}
		c.open = false
		return ""
	case kind == "content_part.added":
		if c.inPart || e.Content != c.parts {
			return "a part begins out of order"
		}
		c.parts, c.inPart = c.parts+1, true
		c.said.Reset()
		return ""
	case !strings.HasPrefix(kind, "function_call") && (!c.inPart || e.Content != c.parts-1):
		return "no such part is open"
	case kind == "content_part.done":
		c.inPart = false
	case strings.HasSuffix(kind, ".delta"):
		if e.Delta == "" {
			return "an empty delta"
		}
		c.said.WriteString(e.Delta)
	case e.Text+e.Refusal+e.Arguments != c.said.String():
		return "the deltas were " + c.said.String()
	}
	return ""
}
