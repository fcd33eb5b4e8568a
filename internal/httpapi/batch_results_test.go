package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
)

func answered(n int, seq int64) batches.Answer {
	return batches.Answer{
		Line:   batches.Line{N: n, CustomID: "c", State: batches.LineSucceeded, Job: uuid.MustParse(someID), Seq: seq},
		Result: json.RawMessage(`{"text":"a < b"}`),
	}
}

func TestBatchResults(t *testing.T) {
	t.Parallel()
	failed, dropped := answered(2, 1), answered(3, 4)
	failed.State, failed.Job, failed.Result, failed.Code, failed.Message = batches.LineCancelled, uuid.Nil, nil, "batch_cancelled", "why"
	dropped.Dropped, dropped.Result = true, nil
	b := &batching{batch: running(), answers: []batches.Answer{answered(1, 2), failed, dropped}}
	h, _ := startBatches(t, b)
	got := h.do("GET", batchPath+"/results", "", "Penstock-Tenant", "mine")
	want := `{"line":1,"custom_id":"c","status":"succeeded","job_id":"` + someID + `","seq":2,"result":{"text":"a < b"},"error":null}
{"line":2,"custom_id":"c","status":"cancelled","job_id":null,"seq":1,"result":null,"error":{"code":"batch_cancelled","message":"why"}}
{"line":3,"custom_id":"c","status":"succeeded","job_id":"` + someID + `","seq":4,"result":null,"error":{"code":"dropped","message":"the answer is no longer there"}}
`
	if got.status != 200 || got.body != want || got.header.Get("Content-Type") != "application/jsonl" {
		t.Errorf("got %d %s, want %s", got.status, got.body, want)
	}
	for query, want := range map[string]batches.AnswerQuery{
		"":                           {},
		"?after=2":                   {After: 2},
		"?order=finished&after=7":    {AsFinished: true, After: 7},
		"?order=input&status=failed": {States: []batches.State{batches.LineFailed}},
		"?order=finished&follow=false&status=succeeded": {AsFinished: true, States: []batches.State{batches.LineSucceeded}},
	} {
		want.Tenant, want.Batch = "mine", uuid.MustParse(someBatch)
		if got := h.do("GET", batchPath+"/results"+query, "", "Penstock-Tenant", "mine"); got.status != 200 || !reflect.DeepEqual(b.results, want) {
			t.Errorf("%s: %d, asked %+v, want %+v", query, got.status, b.results, want)
		}
	}
	for _, bad := range []string{"order=x", "status=live", "after=-1", "after=x", "after=9223372036854775808", "follow=true", "follow=1&order=finished", "limit=3"} {
		if got := h.do("GET", batchPath+"/results?"+bad, ""); got.status != 400 {
			t.Errorf("%s: got %d", bad, got.status)
		}
	}
	if got := h.do("HEAD", batchPath+"/results", ""); got.status != 200 || got.body != "" {
		t.Errorf("HEAD: %d %q", got.status, got.body)
	}
}

// gradual are batches whose second answer is not there before the first has arrived.
type gradual struct {
	*batching

	arrived chan struct{}
}

func (b gradual) Answers(ctx context.Context, q batches.AnswerQuery) iter.Seq2[batches.Answer, error] {
	return func(yield func(batches.Answer, error) bool) {
		for a, err := range b.batching.Answers(ctx, q) {
			if a.N == 2 {
				<-b.arrived
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

// Results are sent as they are read: few of them are held.
func TestResultsAreNotHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		long := answered(1, 1)
		long.Result = json.RawMessage(`"` + strings.Repeat("x", lineBuffer) + `"`)
		b := gradual{&batching{batch: ended(), answers: []batches.Answer{long, answered(2, 2)}}, make(chan struct{})}
		h := start(t, Config{Batches: b, Files: (*files.Service)(nil)})
		lines := follow(t, h)
		if line := <-lines; !strings.Contains(line, `"line":1,`) {
			t.Errorf("got %.80s", line)
		}
		close(b.arrived)
		if line := <-lines; !strings.Contains(line, `"line":2,`) {
			t.Errorf("got %.80s", line)
		}
		if end := <-lines; end != "" {
			t.Errorf("got %q", end)
		}
		time.Sleep(time.Minute)
	})
}

// With follow, lines come as they end, and the answer ends with the batch.
func TestFollowABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &batching{batch: running(), answers: []batches.Answer{answered(3, 1)}}
		h := start(t, Config{Batches: b, Files: (*files.Service)(nil), WriteTimeout: 2 * time.Second})
		lines := follow(t, h)
		next := func(want string) {
			t.Helper()
			if line := <-lines; !strings.Contains(line, want) || want == "" && line != "" {
				t.Errorf("got %q, want %q", line, want)
			}
		}
		next(`"line":3,`)
		for i := range 3 {
			time.Sleep(10 * time.Second) // longer than one write may take
			b.mu.Lock()
			b.answers = append(b.answers, answered(1+i, int64(2+i)))
			if i == 2 {
				b.batch = ended()
			}
			b.mu.Unlock()
			next(`"seq":` + string(rune('2'+i)) + `,`)
		}
		next("")
		time.Sleep(time.Minute)
	})
}

// A process that stops closes the connection without an end, so that callers come again.
func TestFollowersAreLetGo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Batches: &batching{batch: running(), answers: []batches.Answer{answered(3, 1)}}, Files: (*files.Service)(nil)})
		lines := follow(t, h)
		<-lines
		h.stop()
		if got := <-lines; !strings.Contains(got, "unexpected EOF") {
			t.Errorf("got %q", got)
		}
		if err := <-h.served; err != nil {
			t.Error(err)
		}
		h.served <- nil
	})
}

// follow reads a stream of results: its lines, then how it ended.
func follow(t *testing.T, h *harness) <-chan string {
	t.Helper()
	transport := &http.Transport{DialContext: h.dial}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, "http://penstock"+batchPath+"/results?order=finished&follow=true", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := transport.RoundTrip(r) //nolint:bodyclose // closed by who reads it
	if err != nil {
		t.Fatal(err)
	}
	lines := make(chan string, 10)
	go func() {
		defer transport.CloseIdleConnections()
		defer res.Body.Close()
		in := bufio.NewScanner(res.Body)
		in.Buffer(nil, 1<<20)
		for in.Scan() {
			lines <- in.Text()
		}
		end := ""
		if in.Err() != nil {
			end = in.Err().Error()
		}
		lines <- end
	}()
	return lines
}
