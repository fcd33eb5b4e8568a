package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

// batching are Batches that answer what they have, and remember what they were asked.
type batching struct {
	replayed bool
	more     bool
	err      error
	causes   []batches.Cause

	mu      sync.Mutex
	batch   batches.Batch
	answers []batches.Answer
	made    batches.New
	asked   batches.Query
	results batches.AnswerQuery
	did     []string
}

var _ Batches = (*batching)(nil)

func (b *batching) Create(_ context.Context, n batches.New) (batches.Batch, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.made = n
	return b.batch, b.replayed, b.err
}

func (b *batching) change(what, tenant string, id uuid.UUID) (batches.Batch, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.did = append(b.did, what+" "+tenant+" "+id.String())
	return b.batch, b.err
}

func (b *batching) Batch(_ context.Context, tenant string, id uuid.UUID) (batches.Batch, error) {
	return b.change("look", tenant, id)
}

func (b *batching) Pause(_ context.Context, tenant string, id uuid.UUID) (batches.Batch, error) {
	return b.change("pause", tenant, id)
}

func (b *batching) Resume(_ context.Context, tenant string, id uuid.UUID) (batches.Batch, error) {
	return b.change("resume", tenant, id)
}

func (b *batching) Cancel(_ context.Context, tenant string, id uuid.UUID) (batches.Batch, error) {
	return b.change("cancel", tenant, id)
}

func (b *batching) Retry(_ context.Context, tenant string, id uuid.UUID) (batches.Batch, int, error) {
	batch, err := b.change("retry", tenant, id)
	return batch, 3, err
}

func (b *batching) Delete(_ context.Context, tenant string, id uuid.UUID) error {
	_, err := b.change("delete", tenant, id)
	return err
}

func (b *batching) List(_ context.Context, q batches.Query) ([]batches.Batch, bool, error) {
	b.asked = q
	return []batches.Batch{b.batch}, b.more, b.err
}

func (b *batching) Causes(context.Context, string, uuid.UUID) ([]batches.Cause, error) {
	return b.causes, b.err
}

func (b *batching) Answers(_ context.Context, q batches.AnswerQuery) iter.Seq2[batches.Answer, error] {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.results = q
	all := slices.Clone(b.answers)
	return func(yield func(batches.Answer, error) bool) {
		for _, a := range all {
			at := int64(a.N)
			if q.AsFinished {
				at = a.Seq
			}
			if at > q.After && !yield(a, nil) {
				return
			}
		}
	}
}

const (
	someBatch = "0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d1a"
	batchPath = batchesPath + "/" + someBatch
	inline    = `{"requests":[{"custom_id":"a","request":{"model":"default","messages":[]}}]}`
)

func running() batches.Batch {
	return batches.Batch{
		ID: uuid.MustParse(someBatch), Tenant: DefaultTenant, Endpoint: providers.ChatCompletions, Input: uuid.MustParse(someID),
		Status: batches.StatusInProgress, Window: "24h", CreatedAt: noon, Deadline: noon.Add(24 * time.Hour), StartedAt: noon,
		Policy: batches.Policy{Priority: jobs.PriorityLow},
		Counts: batches.Counts{Total: 5, Pending: 1, Live: 1, Succeeded: 1, Failed: 2, Deduplicated: 1}, Rate: 2.5,
		Usage: providers.Usage{Known: true, InputTokens: 7, OutputTokens: 5}, CostUSD: jobs.Dollar / 8,
		Read: batches.Cursor{Lines: 5, Bytes: 500},
	}
}

func ended() batches.Batch {
	b := running()
	b.Status, b.EndedAt = batches.StatusCompleted, noon.Add(time.Minute)
	return b
}

// spool keeps files in SQLite.
func spool(t *testing.T) *files.Service {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t), Relaxed: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	service, err := files.NewService(files.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	return service
}

// startBatches starts an API that has these batches.
func startBatches(t *testing.T, b *batching) (*harness, *files.Service) {
	t.Helper()
	kept := spool(t)
	return start(t, Config{Batches: b, Files: kept, TrustTenantHeader: true}), kept
}

func TestBatchInJSON(t *testing.T) {
	t.Parallel()
	b := &batching{batch: running(), causes: []batches.Cause{{Code: "timeout_total", Count: 2, Line: 3}}}
	b.batch.Policy.OnUnavailable = new(jobs.OnUnavailableFail)
	b.batch.Metadata = map[string]string{"run": "1"}
	b.batch.ProblemCount, b.batch.Problems = 2, []batches.Problem{{Line: 4, Code: "c", Param: "/body", Message: "m"}, {Code: "d"}}
	h, _ := startBatches(t, b)
	got := h.do("GET", batchPath, "", "Penstock-Tenant", "mine")
	for _, want := range []string{
		`{"id":"` + someBatch + `","object":"job_batch","status":"in_progress","paused":false,`,
		`"input_file_id":"file-0199f1a27c3e7d4b9a513f0c8e6b2d17"`, `"priority":"low","concurrency":2000,"dedupe":true,"on_unavailable":"fail"`,
		`"counts":{"total":5,"pending":1,"live":1,"succeeded":1,"failed":2,"cancelled":0,"expired":0,"deduplicated":1},"lines_per_second":2.5`,
		`"usage":{"input_tokens":7,"output_tokens":5,"cached_tokens":0,"reasoning_tokens":0},"cost_usd":0.125`,
		`"failures":[{"code":"timeout_total","count":2,"first_line":3}]`, `"read":{"lines":5,"bytes":500}`,
		`"problem_count":2,"problems":[{"line":4,"code":"c","pointer":"/body","message":"m"},{"line":null,"code":"d"`,
	} {
		if !strings.Contains(got.body, want) {
			t.Errorf("%s is not in %s", want, got.body)
		}
	}
	for _, id := range []string{"batch_0199f1a27c3e7d4b9a513f0c8e6b2d1a", "msgbatch_0199f1a27c3e7d4b9a513f0c8e6b2d1a"} {
		h.do("GET", batchesPath+"/"+id, "", "Penstock-Tenant", "mine")
	}
	if want := slices.Repeat([]string{"look mine " + someBatch}, 3); !slices.Equal(b.did, want) {
		t.Errorf("did %v, want %v", b.did, want)
	}
	if line := h.lines()[0]; line["batch"] != someBatch || line["route"] != "/v1/job-batches/:id" {
		t.Errorf("log: %v", line)
	}
}

func TestBatchCommands(t *testing.T) {
	t.Parallel()
	b := &batching{batch: ended()}
	h, _ := startBatches(t, b)
	for what, want := range map[string]int{"pause": 202, "resume": 202, "cancel": 202, "retry": 202, "delete": 204} {
		b.did = nil
		method, path := "POST", batchPath+"/"+what
		if what == "delete" {
			method, path = "DELETE", batchPath
		}
		if got := h.do(method, path, "", "Penstock-Tenant", "mine"); got.status != want {
			t.Errorf("%s: got %d %s", what, got.status, got.body)
		}
		if want := []string{what + " mine " + someBatch}; !slices.Equal(b.did, want) {
			t.Errorf("%s: did %v, want %v", what, b.did, want)
		}
		if got := h.do(method, path, "", "Idempotency-Key", "k"); got.status != 400 {
			t.Errorf("%s with a key: got %d %s", what, got.status, got.body)
		}
	}
}

func TestBatchList(t *testing.T) {
	t.Parallel()
	b := &batching{batch: ended(), more: true}
	h, _ := startBatches(t, b)
	var page listJSON[batchJSON]
	got := h.do("GET", batchesPath+"?limit=1&endpoint=/v1/responses", "", "Penstock-Tenant", "mine")
	if err := json.Unmarshal([]byte(got.body), &page); err != nil || !page.HasMore || len(page.Data) != 1 {
		t.Fatalf("%v: %d %s", err, got.status, got.body)
	}
	if want := (batches.Query{Tenant: "mine", Endpoint: "/v1/responses", Limit: 1}); b.asked != want {
		t.Errorf("asked %+v, want %+v", b.asked, want)
	}
	h.do("GET", batchesPath+"?cursor="+*page.NextCursor, "")
	if b.asked.Before.String() != someBatch || b.asked.Limit != defaultLimit {
		t.Errorf("then asked %+v", b.asked)
	}
	for _, bad := range []string{"limit=0", "limit=101", "cursor=x", "after=1", "endpoint="} {
		if got := h.do("GET", batchesPath+"?"+bad, ""); got.status != 400 {
			t.Errorf("%s: got %d", bad, got.status)
		}
	}
}

// A batch that is waited for is answered when it ends, or as it is after the wait.
func TestWaitForABatch(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]time.Duration{
		"?wait=30s": 5 * time.Second, "?wait=3s": 3 * time.Second, "": 0, "?wait=0s": 0, "?wait=1h": 5 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			b := &batching{batch: running()}
			h := start(t, Config{Batches: b, Files: (*files.Service)(nil)})
			began := time.Now()
			go func() {
				time.Sleep(4500 * time.Millisecond)
				b.mu.Lock()
				defer b.mu.Unlock()
				b.batch = ended()
			}()
			got := h.do("GET", batchPath+path, "")
			if took := time.Since(began); took != want {
				t.Errorf("%s: after %s, want %s", path, took, want)
			}
			if isOver := strings.Contains(got.body, `"status":"completed"`); isOver != (want == 5*time.Second) {
				t.Errorf("%s: %s", path, got.body)
			}
			time.Sleep(time.Minute)
		})
	}
}

func TestNobodyWaitsLongForABatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Batches: &batching{batch: running()}, Files: (*files.Service)(nil)})
		began := time.Now()
		if got := h.do("GET", batchPath+"?wait=1h", ""); got.status != 200 || time.Since(began) != time.Minute {
			t.Errorf("got %d after %s, want the batch as it is after a minute", got.status, time.Since(began))
		}
		time.Sleep(time.Minute)
	})
}

func TestNobodyWaitsForABatchBeyondTheBound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := start(t, Config{Batches: &batching{batch: running()}, Files: (*files.Service)(nil)})
		h.api.waiters.close()
		began := time.Now()
		if got := h.do("GET", batchPath+"?wait=30s", ""); got.status != 200 || time.Since(began) != 0 {
			t.Errorf("got %d after %s", got.status, time.Since(began))
		}
		if got := h.do("GET", batchPath+"/results?order=finished&follow=true", ""); got.status != 429 {
			t.Errorf("follow: %d %s", got.status, got.body)
		}
		time.Sleep(time.Minute)
	})
}

// batchAnswers has every operation of batches give every answer that it can.
func batchAnswers(t *testing.T) map[string]bool {
	t.Helper()
	defect, away := errors.New("a defect"), jobs.Unavailable(errors.New("connection refused"))
	kept := spool(t)
	seen := map[string]bool{}
	for _, op := range []struct {
		method, path, body string
		granted            int
		// one says that it is about one batch, conflicts that it may not be in a state for it.
		one, conflicts bool
	}{
		{"POST", batchesPath, inline, 202, false, false},
		{"GET", batchesPath, "", 200, false, false},
		{"GET", batchPath, "", 200, true, false},
		{"DELETE", batchPath, "", 204, true, true},
		{"POST", batchPath + "/pause", "", 202, true, true},
		{"POST", batchPath + "/resume", "", 202, true, true},
		{"POST", batchPath + "/cancel", "", 202, true, false},
		{"POST", batchPath + "/retry", "", 202, true, true},
		{"GET", batchPath + "/results", "", 200, true, false},
	} {
		try := func(want int, err error, change func(h *harness), path, body string) {
			t.Helper()
			batch := running()
			batch.Counts.Failed = 0
			h := start(t, Config{Batches: &batching{batch: batch, err: err}, Files: kept, Service: granting()})
			change(h)
			if got := h.do(op.method, path, body, asJSON()...); got.status != want {
				t.Errorf("%s %s: got %d, want %d\n%s", op.method, path, got.status, want, got.body)
			}
			maps.Copy(seen, h.contract.seen)
		}
		asItIs := func(*harness) {}
		try(op.granted, nil, asItIs, op.path, op.body)
		try(400, nil, asItIs, op.path+"?odd=1", op.body)
		try(403, nil, func(h *harness) { h.api.cfg.Hosts = []string{"another"} }, op.path, op.body)
		try(500, defect, asItIs, op.path, op.body)
		try(503, away, asItIs, op.path, op.body)
		if op.one {
			try(404, jobs.ErrNotFound, asItIs, op.path, op.body)
			try(404, nil, asItIs, strings.Replace(op.path, someBatch, "x", 1), op.body)
		}
		if op.conflicts {
			try(409, batches.ErrNotEnded, asItIs, op.path, op.body)
		}
		switch {
		case op.method != "GET" && op.one:
			try(413, nil, asItIs, op.path, strings.Repeat("x", 2000))
		case op.method == "POST":
			try(413, &jobs.Error{Code: files.CodeTooLarge, Message: "too large"}, asItIs, op.path, op.body)
			try(422, jobs.ErrIdempotencyMismatch, asItIs, op.path, op.body)
			try(429, nil, func(h *harness) { h.api.bodies.limit = 1 }, op.path, op.body)
		case strings.HasSuffix(op.path, "/results"):
			try(429, nil, func(h *harness) { h.api.waiters.close() }, op.path+"?order=finished&follow=true", op.body)
		}
	}
	return seen
}
