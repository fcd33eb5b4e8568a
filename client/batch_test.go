package client_test

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/client"
)

// requests are n of the given model, like no others.
func requests(model, name string, n int) []client.BatchRequest {
	all := make([]client.BatchRequest, n)
	for i := range all {
		all[i] = client.BatchRequest{CustomID: fmt.Sprint(i), Request: chat(model, fmt.Sprint(name, i))}
	}
	return all
}

func TestBatch(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t, ""), bounded(t)
	const n = 30
	all := requests("default", "batch ", n)
	all[7].Request = all[3].Request
	made, err := c.SubmitBatch(ctx, client.NewBatch{Requests: all, Metadata: map[string]string{"run": "1"}, Timeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if made.ID == uuid.Nil || made.Priority != client.PriorityLow || made.Metadata["run"] != "1" || made.Deadline.Sub(made.CreatedAt) != time.Hour {
		t.Errorf("made: %+v", made)
	}
	var told []int
	b, err := c.WaitBatch(ctx, made.ID, func(b client.Batch) { told = append(told, b.Counts.Ended()) })
	if err != nil {
		t.Fatal(err)
	}
	if b.Status != client.BatchCompleted || b.Counts.Succeeded != n || b.Counts.Total != n || b.Counts.Deduplicated != 1 || b.Usage == nil {
		t.Errorf("ended: %+v", b)
	}
	if len(told) == 0 || told[len(told)-1] != n || !slices.IsSorted(told) {
		t.Errorf("progress: %v", told)
	}
	var ids []string
	for a, err := range c.Results(ctx, b.ID, client.ResultFilter{}) {
		if err != nil {
			t.Fatal(err)
		}
		var answer completion
		if err := a.Decode(&answer); err != nil || len(answer.Choices) != 1 || a.Line != len(ids)+1 || a.JobID == uuid.Nil {
			t.Errorf("line %+v: %v", a, err)
		}
		ids = append(ids, a.CustomID)
	}
	if len(ids) != n || ids[29] != "29" {
		t.Errorf("results of %v", ids)
	}
	jobs := 0
	for _, err := range c.List(ctx, client.JobFilter{Batch: b.ID, PageSize: 7}) {
		if err != nil {
			t.Fatal(err)
		}
		jobs++
	}
	if jobs != n {
		t.Errorf("%d jobs, want %d", jobs, n)
	}
	listed := slices.Collect(keys(t, c.ListBatches(ctx)))
	if !slices.Equal(listed, []uuid.UUID{b.ID}) {
		t.Errorf("listed %v", listed)
	}
	if err := c.DeleteBatch(ctx, b.ID); err != nil {
		t.Errorf("delete: %v", err)
	}
	if _, err := c.GetBatch(ctx, b.ID); codeOf(err) != client.CodeNotFound {
		t.Errorf("get what was deleted: %v", err)
	}
}

func keys(t *testing.T, all iter.Seq2[client.Batch, error]) iter.Seq[uuid.UUID] {
	t.Helper()
	return func(yield func(uuid.UUID) bool) {
		for b, err := range all {
			if err != nil {
				t.Error(err)
			}
			if !yield(b.ID) {
				return
			}
		}
	}
}

// Lines that fail are grouped by cause, and a retry runs them alone.
func TestRetryFailed(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t, ""), bounded(t)
	all := append(requests("default", "retry ", 5), client.BatchRequest{CustomID: "bad", Request: chat("bad", "retry")})
	b, err := c.SubmitBatch(ctx, client.NewBatch{Requests: all})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 {
		if b, err = c.WaitBatch(ctx, b.ID, nil); err != nil {
			t.Fatal(err)
		}
		want := []client.BatchFailure{{Code: "bad_request", Count: 1, FirstLine: 6}}
		if b.Status != client.BatchCompleted || b.Counts.Succeeded != 5 || b.Counts.Failed != 1 || !slices.Equal(b.Failures, want) {
			t.Errorf("round %d: %+v", round, b)
		}
		var seqs []int64
		for a, err := range c.Results(ctx, b.ID, client.ResultFilter{Status: client.StatusFailed}) {
			if err != nil || a.CustomID != "bad" || a.Decode(new(any)) == nil {
				t.Errorf("%+v, %v", a, err)
			}
			seqs = append(seqs, a.Seq)
		}
		if len(seqs) != 1 || round == 1 && seqs[0] <= 6 {
			t.Errorf("round %d: the failed line has seqs %v", round, seqs)
		}
		if round == 0 {
			if b, err = c.RetryFailed(ctx, b.ID); err != nil || b.Status != client.BatchInProgress || b.Counts.Pending != 1 {
				t.Fatalf("retry: %+v, %v", b, err)
			}
		}
	}
}

func TestBatchThatIsNoGood(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t, ""), bounded(t)
	all := requests("default", "no good ", 3)
	all[2].CustomID, all[1].Request = all[0].CustomID, chat("gpt-9", "x")
	b, err := c.SubmitBatch(ctx, client.NewBatch{Requests: all})
	if err == nil {
		b, err = c.WaitBatch(ctx, b.ID, nil)
	}
	if err != nil || b.Status != client.BatchFailed || b.ProblemCount != 2 || len(b.Problems) != 2 {
		t.Fatalf("%+v, %v", b, err)
	}
	if p := b.Problems; p[0].Line != 2 || p[0].Code != "unknown_model" || p[1].Line != 3 || p[1].Code != "duplicate_custom_id" {
		t.Errorf("problems %+v", p)
	}
	if _, err := c.RetryFailed(ctx, b.ID); err != nil && codeOf(err) != client.CodeConflict {
		t.Errorf("retry: %v", err)
	}
}

// A batch that is paused begins nothing, and one that is cancelled keeps what has ended.
func TestPauseResumeCancel(t *testing.T) {
	t.Parallel()
	c, ctx := newClient(t, ""), bounded(t)
	b, err := c.SubmitBatch(ctx, client.NewBatch{Requests: requests("slow", "pause ", 4), Concurrency: 1})
	if err != nil {
		t.Fatal(err)
	}
	for a, err := range c.Results(ctx, b.ID, client.ResultFilter{AsFinished: true, Follow: true}) {
		if err != nil || a.Seq != 1 {
			t.Errorf("the first: %+v, %v", a, err)
		}
		break
	}
	if b, err = c.PauseBatch(ctx, b.ID); err != nil || !b.Paused {
		t.Fatalf("pause: %+v, %v", b, err)
	}
	if b, err = c.ResumeBatch(ctx, b.ID); err != nil || b.Paused {
		t.Fatalf("resume: %+v, %v", b, err)
	}
	if b, err = c.CancelBatch(ctx, b.ID); err != nil || b.Status != client.BatchCancelling && b.Status != client.BatchCancelled {
		t.Fatalf("cancel: %+v, %v", b, err)
	}
	if b, err = c.WaitBatch(ctx, b.ID, nil); err != nil || b.Status != client.BatchCancelled || b.Counts.Succeeded == 0 || b.Counts.Cancelled == 0 {
		t.Fatalf("ended: %+v, %v", b, err)
	}
	if _, err := c.PauseBatch(ctx, b.ID); codeOf(err) != client.CodeConflict {
		t.Errorf("pause what has ended: %v", err)
	}
	for a, err := range c.Results(ctx, b.ID, client.ResultFilter{Status: client.StatusCancelled}) {
		if err != nil || a.Error == nil {
			t.Errorf("%+v, %v", a, err)
		}
	}
}

// Results go on behind a connection that is cut, in both orders.
func TestResultsAreResumed(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	at := between(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if strings.HasSuffix(r.URL.Path, "/results") && asked.Add(1)%2 == 1 {
			w = &cutting{ResponseWriter: w, left: 5000}
		}
		next.ServeHTTP(w, r)
	})
	c, ctx := newClient(t, at), bounded(t)
	const n = 12
	b, err := c.SubmitBatch(ctx, client.NewBatch{Requests: requests("default", "resume ", n)})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []client.ResultFilter{{AsFinished: true, Follow: true}, {}} {
		var lines []int
		for a, err := range c.Results(ctx, b.ID, f) {
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, a.Line)
		}
		slices.Sort(lines)
		if len(slices.Compact(lines)) != n || len(lines) != n {
			t.Errorf("%+v: lines %v", f, lines)
		}
	}
	if got := asked.Load(); got < 4 {
		t.Errorf("%d connections: none was cut", got)
	}
}

// Requests are sent while they are made, and a submission that is lost is made once.
func TestBatchSubmissions(t *testing.T) {
	t.Parallel()
	var posted atomic.Int32
	at := between(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.Method == http.MethodPost && posted.Add(1) == 1 {
			lost(r, next)
		}
		next.ServeHTTP(w, r)
	})
	c, ctx := newClient(t, at), bounded(t)
	all := requests("default", "once ", 3)
	b, err := c.SubmitBatch(ctx, client.NewBatch{Requests: all})
	if err != nil {
		t.Fatal(err)
	}
	if ids := slices.Collect(keys(t, c.ListBatches(ctx))); !slices.Equal(ids, []uuid.UUID{b.ID}) || posted.Load() != 2 {
		t.Errorf("posted %d times, there are %v, want %s", posted.Load(), ids, b.ID)
	}

	// A stream can be sent once: when it is lost it is the caller's to repeat, by its key.
	posted.Store(0)
	ranged := 0
	stream := func(yield func(client.BatchRequest, error) bool) {
		ranged++
		for _, r := range requests("default", "stream ", 3) {
			if !yield(r, nil) {
				return
			}
		}
	}
	n := client.NewBatch{Stream: stream, IdempotencyKey: "stream"}
	if b, err := c.SubmitBatch(ctx, n); err == nil || ranged != 1 {
		t.Errorf("ranged over %d times: %v", ranged, b.ID)
	}
	again, err := c.SubmitBatch(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	if ids := slices.Collect(keys(t, c.ListBatches(ctx))); !slices.Equal(ids, []uuid.UUID{again.ID, b.ID}) {
		t.Errorf("there are %v, want %s and %s", ids, again.ID, b.ID)
	}
}

func TestBatchesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	var posted atomic.Int32
	at := between(t, func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		posted.Add(1)
		next.ServeHTTP(w, r)
	})
	c, ctx := newClient(t, at), bounded(t)
	mine := errors.New("mine")
	failing := func(yield func(client.BatchRequest, error) bool) {
		_ = yield(requests("default", "f", 1)[0], nil) && yield(client.BatchRequest{}, mine)
	}
	if _, err := c.SubmitBatch(ctx, client.NewBatch{Stream: failing}); !errors.Is(err, mine) {
		t.Errorf("got %v, want the stream's own error", err)
	}
	if _, err := c.SubmitBatch(ctx, client.NewBatch{Requests: []client.BatchRequest{{CustomID: "a", Request: make(chan int)}}}); err == nil {
		t.Error("a channel is a request")
	}
	if got := posted.Load(); got > 2 {
		t.Errorf("posted %d times", got)
	}
	for _, n := range []client.NewBatch{{}, {Requests: requests("default", "f", 1), InputFile: "file-x"}, {Stream: failing, InputFile: "file-x"}} {
		if _, err := c.SubmitBatch(ctx, n); err == nil || errors.As(err, new(*client.Error)) {
			t.Errorf("%+v: %v", n, err)
		}
	}
	if _, err := c.SubmitBatch(ctx, client.NewBatch{InputFile: "file-" + strings.Repeat("0", 32)}); codeOf(err) != client.CodeInvalidField {
		t.Errorf("no file: %v", err)
	}
	if ids := slices.Collect(keys(t, c.ListBatches(ctx))); len(ids) != 0 {
		t.Errorf("there are %v", ids)
	}
}
