package httpapi

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/storage/sqlite/sqlitetest"
)

// These tests go through the API to the real service and a real store.

// signals wakes listeners of this process.
type signals struct{ sent chan jobs.Signal }

func (s signals) Send(_ context.Context, sig jobs.Signal) error {
	s.sent <- sig
	return nil
}

func (s signals) Listen(ctx context.Context, hear func(jobs.Signal), kinds ...jobs.SignalKind) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case sig := <-s.sent:
			if slices.Contains(kinds, sig.Kind) {
				hear(sig)
			}
		}
	}
}

// realHarness is a harness over SQLite, with a hand to run executions by.
type realHarness struct {
	*harness

	store   *sqlite.Store
	signals signals
	worker  jobs.Worker
}

func startReal(t *testing.T) *realHarness {
	t.Helper()
	store, err := sqlite.Open(t.Context(), sqlite.Config{Path: sqlitetest.File(t)})
	if err != nil {
		t.Fatal(err)
	}
	r := &realHarness{
		store: store, signals: signals{make(chan jobs.Signal, 100)}, worker: jobs.Worker{ID: uuid.New(), Name: "hand", Beat: 1},
	}
	route := jobs.Route{Name: "default", Targets: []jobs.Target{{Provider: "sim", Model: "sim-1"}}, MaxAttempts: 5}
	catalog := jobs.NewCatalog([]jobs.Route{route}, map[string][]string{"sim": {"sim-1"}}, route)
	hooks := realWebhooks(t, store)
	service := jobs.NewService(store, r.signals, catalog, jobs.WithWebhooks(hooks.Resolve))
	ctx, stop := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- service.Run(ctx) }()
	t.Cleanup(func() { // after the harness has stopped serving
		stop()
		if err := <-ran; err != nil {
			t.Errorf("service: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("close the store: %v", err)
		}
	})
	r.harness = start(t, Config{Service: service, Webhooks: hooks, Store: store, TrustTenantHeader: true})
	return r
}

// run does what a dispatcher and a worker do for the one execution that is
// ready: it ends with result.
func (r *realHarness) run(result string) {
	r.t.Helper()
	ctx := context.Background()
	must := func(err error) {
		r.t.Helper()
		if err != nil {
			r.t.Fatal(err)
		}
	}
	ready, err := r.store.Ready(ctx, jobs.ReadyQuery{Route: "default", Now: time.Now(), Tenants: 10, PerTenant: 10})
	must(err)
	if len(ready) != 1 {
		r.t.Fatalf("%d executions are ready, want 1", len(ready))
	}
	tasks, err := r.store.Release(ctx, []jobs.Release{
		{Execution: ready[0].Execution, Fence: ready[0].Fence, Provider: "sim", Model: "sim-1"},
	}, time.Now())
	must(err)
	_, err = r.store.Beat(ctx, r.worker, nil)
	must(err)
	work, err := r.store.Claim(ctx, jobs.Claim{Task: tasks[0], Worker: r.worker.ID, Call: uuid.Must(uuid.NewV7()), At: time.Now()})
	must(err)
	ended, err := r.store.Finish(ctx, jobs.Outcome{
		Task: tasks[0], Status: jobs.StatusSucceeded, Result: json.RawMessage(result), At: time.Now(),
		Call: jobs.Call{
			ID: work.Call, Execution: tasks[0].Execution, Fence: tasks[0].Fence, Tenant: work.Tenant, RequestHash: work.RequestHash,
			Provider: "sim", Model: "sim-1", Status: jobs.CallSuccess, HTTPStatus: 200, Latency: 120 * time.Millisecond,
			TimeToFirstToken: 40 * time.Millisecond, Usage: providers.Usage{Known: true, InputTokens: 3, OutputTokens: 2},
			CreatedAt: time.Now(),
		},
	})
	must(err)
	must(r.signals.Send(ctx, jobs.Signal{Kind: jobs.SignalEnded, Jobs: ended}))
}

// told is what a test looks at in a job.
type told struct {
	ID           string            `json:"id"`
	Status       string            `json:"status"`
	Deduplicated bool              `json:"deduplicated"`
	Cached       bool              `json:"cached"`
	Age          *int              `json:"age"`
	Provider     *string           `json:"provider"`
	Metadata     map[string]string `json:"metadata"`
	Result       json.RawMessage   `json:"result"`
	Error        *errorJSON        `json:"error"`
}

func (a answer) job(t testing.TB) told {
	t.Helper()
	var j told
	if err := json.Unmarshal([]byte(a.body), &j); err != nil || j.ID == "" {
		t.Fatalf("not a job: %d %s", a.status, a.body)
	}
	return j
}

func (a answer) ids(t testing.TB) []string {
	t.Helper()
	var page struct {
		Data []told `json:"data"`
	}
	if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != 200 {
		t.Fatalf("not a list: %d %s", a.status, a.body)
	}
	var ids []string
	for _, j := range page.Data {
		ids = append(ids, j.ID)
	}
	return ids
}

const result = `{"object":"chat.completion","choices":[{"finish_reason":"stop","message":{"content":"Rhine"}}]}`

func asking(prompt, more string) string {
	return `{"request":{"model":"default","messages":[{"role":"user","content":"` + prompt + `"}]}` + more + `}`
}

func TestRealAnswer(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	first := r.do("POST", "/v1/jobs", asking("a", `,"priority":"normal","metadata":{"order":"1842"},"user":"u"`))
	job := first.job(t)
	if first.status != 202 || job.Status != "queued" || job.Metadata["order"] != "1842" {
		t.Fatalf("%d %s", first.status, first.body)
	}
	twin := r.do("POST", "/v1/jobs", asking("a", "")).job(t)
	if !twin.Deduplicated || twin.ID == job.ID {
		t.Errorf("the same request under way: %+v", twin)
	}

	waited := make(chan answer, 1)
	go func() {
		a, err := r.try(context.Background(), "GET", "/v1/jobs/"+job.ID+"?wait=60s", nil)
		if err != nil {
			t.Errorf("wait: %v", err)
		}
		waited <- a
	}()
	r.run(result)
	done := (<-waited).job(t)
	if done.Status != "succeeded" || string(done.Result) != result || *done.Provider != "sim" {
		t.Errorf("waited for: %+v", done)
	}
	if got := r.do("GET", "/v1/jobs/"+twin.ID, "").job(t); got.Status != "succeeded" || string(got.Result) != result {
		t.Errorf("the twin: %+v", got)
	}
	calls := r.do("GET", "/v1/jobs/"+job.ID+"/calls", "")
	if !strings.Contains(calls.body, `"latency_ms":120,"ttft_ms":40,`) || strings.Count(calls.body, `"object":"call"`) != 1 {
		t.Errorf("calls: %s", calls.body)
	}

	cached := r.do("POST", "/v1/jobs", asking("a", `,"cache":{"max_age":"1h"}`))
	if got := cached.job(t); cached.status != 202 || !got.Cached || got.Age == nil || string(got.Result) != result {
		t.Errorf("from cache: %d %s", cached.status, cached.body)
	}
	if a := r.do("POST", "/v1/jobs", asking("a", `,"cache":{"max_age":"1h"}`), "Prefer", "wait=5"); a.status != 200 {
		t.Errorf("from cache, waiting: %d %s", a.status, a.body)
	}
}

func TestRealIdempotency(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	first := r.do("POST", "/v1/jobs", asking("a", ""), "Idempotency-Key", "k").job(t)
	again := r.do("POST", "/v1/jobs", " "+asking("a", ""), "Idempotency-Key", `"k"`)
	if again.status != 202 || again.header.Get("Idempotent-Replayed") != "true" || again.job(t).ID != first.ID {
		t.Errorf("again: %d %v %s", again.status, again.header, again.body)
	}
	r.run(result)
	later := r.do("POST", "/v1/jobs", asking("a", ""), "Idempotency-Key", "k")
	if got := later.job(t); later.status != 202 || got.ID != first.ID || got.Status != "succeeded" {
		t.Errorf("later: %d %s", later.status, later.body)
	}
	a := r.do("POST", "/v1/jobs", asking("b", ""), "Idempotency-Key", "k")
	if a.status != 422 || a.problem(t).Code != "idempotency_mismatch" {
		t.Errorf("other body: %d %s", a.status, a.body)
	}
	other := r.do("POST", "/v1/jobs", asking("a", ""), "Idempotency-Key", "k", "Penstock-Tenant", "other")
	if other.status != 202 || other.header.Get("Idempotent-Replayed") != "" || other.job(t).ID == first.ID {
		t.Errorf("other tenant: %d %s", other.status, other.body)
	}
	// What was refused is not remembered.
	if a := r.do("POST", "/v1/jobs", `{"request":{"model":"none"}}`, "Idempotency-Key", "l"); a.status != 400 {
		t.Errorf("refused: %d", a.status)
	}
	if a := r.do("POST", "/v1/jobs", asking("c", ""), "Idempotency-Key", "l"); a.status != 202 {
		t.Errorf("after a refusal: %d %s", a.status, a.body)
	}
}

// Tenants do not learn of each other's jobs: what is another's is as if it
// were not.
func TestRealTenants(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	const mine, other = "mine", "other"
	id := r.do("POST", "/v1/jobs", asking("a", ""), "Penstock-Tenant", mine).job(t).ID
	for request := range strings.SplitSeq("GET ,POST /cancel,POST /retry,DELETE ,GET /calls,GET ?wait=1s", ",") {
		method, path, _ := strings.Cut(request, " ")
		a := r.do(method, "/v1/jobs/"+id+path, "", "Penstock-Tenant", other)
		nobodys := r.do(method, "/v1/jobs/"+someID+path, "", "Penstock-Tenant", other)
		if a.status != 404 || a.problem(t).Detail != nobodys.problem(t).Detail {
			t.Errorf("%s: %d %s", request, a.status, a.body)
		}
	}
	if got := r.do("GET", "/v1/jobs", "", "Penstock-Tenant", other).ids(t); got != nil {
		t.Errorf("list: %v", got)
	}
	if got := r.do("GET", "/v1/jobs", "", "Penstock-Tenant", mine).ids(t); !slices.Equal(got, []string{id}) {
		t.Errorf("own list: %v", got)
	}
}

// A job that is looked at alone is told its place and what it can expect; in a
// list, and when it is submitted, it is not.
func TestRealOutlook(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	var ids []string
	for _, prompt := range []string{"a", "b"} {
		a := r.do("POST", "/v1/jobs", asking(prompt, ""), "Penstock-Tenant", "mine")
		if !strings.Contains(a.body, `"waiting_on":"capacity","position":null,"eta":null,`) {
			t.Errorf("submitted: %s", a.body)
		}
		ids = append(ids, a.job(t).ID)
	}
	look := func(path, want string) {
		t.Helper()
		if a := r.do("GET", "/v1/jobs"+path, "", "Penstock-Tenant", "mine"); !strings.Contains(a.body, want) {
			t.Errorf("GET %s: got %s, want %s", path, a.body, want)
		}
	}
	look("/"+ids[0], `"waiting_on":"capacity","position":1,"eta":null,`)
	look("/"+ids[1], `"waiting_on":"capacity","position":2,"eta":null,`)
	err := r.store.SetFlows(t.Context(), []jobs.Flow{
		{Tenant: "mine", Route: "default", Pool: "sim", Rate: 1, Run: time.Second, WaitingOn: jobs.WaitingOnFairness},
	}, time.Now().Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	look("/"+ids[1], `"waiting_on":"fairness","position":2,"eta":"`)
	look("/"+ids[1]+"?wait=1ms", `"waiting_on":"fairness","position":2,"eta":"`)
	look("", `"waiting_on":"capacity","position":null,"eta":null,`)
}

func TestRealList(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	var ids []string
	for i, more := range []string{
		`,"priority":"high","metadata":{"n":"0","even":"yes"}`, `,"metadata":{"n":"1"}`, `,"priority":"low","metadata":{"n":"2","even":"yes"}`,
	} {
		ids = append(ids, r.do("POST", "/v1/jobs", asking(strings.Repeat("p", i+1), more)).job(t).ID)
	}
	r.do("POST", "/v1/jobs/"+ids[1]+"/cancel", "")
	for query, want := range map[string][]string{
		"":                                 {ids[2], ids[1], ids[0]},
		"limit=2":                          {ids[2], ids[1]},
		"status=cancelled":                 {ids[1]},
		"priority=high":                    {ids[0]},
		"model=default":                    {ids[2], ids[1], ids[0]},
		"model=another":                    nil,
		"metadata[even]=yes":               {ids[2], ids[0]},
		"metadata[even]=yes&metadata[n]=2": {ids[2]},
		"metadata[even]=no":                nil,
		"created_after=2020-01-01T00:00:00Z&created_before=2020-01-02T00:00:00Z": nil,
		"created_after=2020-01-01T00:00:00Z":                                     {ids[2], ids[1], ids[0]},
		"status=queued&limit=1&priority=low":                                     {ids[2]},
	} {
		if got := r.do("GET", "/v1/jobs?"+query, "").ids(t); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", query, got, want)
		}
	}
	var page struct {
		NextCursor string `json:"next_cursor"`
	}
	if err := json.Unmarshal([]byte(r.do("GET", "/v1/jobs?limit=2", "").body), &page); err != nil {
		t.Fatal(err)
	}
	if got := r.do("GET", "/v1/jobs?limit=2&cursor="+page.NextCursor, "").ids(t); !slices.Equal(got, ids[:1]) {
		t.Errorf("second page: %v, want %v", got, ids[:1])
	}
}

func TestRealEnds(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	path := "/v1/jobs/" + r.do("POST", "/v1/jobs", asking("a", `,"metadata":{"k":"v"}`)).job(t).ID
	if a := r.do("DELETE", path, ""); a.status != 409 || a.problem(t).Code != "conflict" {
		t.Errorf("delete a live job: %d %s", a.status, a.body)
	}
	if a := r.do("POST", path+"/retry", ""); a.status != 409 || a.problem(t).Code != "conflict" {
		t.Errorf("retry a live job: %d %s", a.status, a.body)
	}
	for range 2 {
		a := r.do("POST", path+"/cancel", "")
		if got := a.job(t); a.status != 202 || got.Status != "cancelled" || got.Error.Code != "cancelled" {
			t.Errorf("cancel: %d %s", a.status, a.body)
		}
	}
	second := r.do("POST", path+"/retry", "")
	if got := second.job(t); second.status != 202 || "/v1/jobs/"+got.ID == path || got.Status != "queued" || got.Metadata["k"] != "v" {
		t.Errorf("retry: %d %s", second.status, second.body)
	}
	if a := r.do("DELETE", path, ""); a.status != 204 {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	for _, request := range []string{"GET ", "DELETE ", "POST /retry"} {
		method, more, _ := strings.Cut(request, " ")
		if a := r.do(method, path+more, ""); a.status != 404 {
			t.Errorf("%s after delete: %d %s", request, a.status, a.body)
		}
	}
}

// What the domain refuses is named by its place in the body.
func TestRealRefusals(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	long := strings.Repeat("é", 513)
	for body, want := range map[string]string{
		`{"request":{}}`: "/request/model", `{"request":{"model":"default"}}`: "/request/messages",
		asking("a", `,"endpoint":"/v1/images"`): "/endpoint", asking("a", `,"timeout":"-1s"`): "/timeout",
		asking("a", `,"timeout":"9999h"`): "/timeout", asking("a", `,"deadline":"2020-01-01T00:00:00Z"`): "/deadline",
		asking("a", `,"deadline":"2030-01-01T00:00:00Z","timeout":"1h"`): "/timeout",
		asking("a", `,"sample":-1`):                                      "/sample", asking("a", `,"cache":{"max_age":"-1s"}`): "/cache/max_age",
		asking("a", `,"metadata":{"k":"`+long+`"}`): "/metadata/k", asking("a", `,"metadata":{"":"v"}`): "/metadata",
		asking("a", `,"user":"`+strings.Repeat("u", 257)+`"`): "/user",
	} {
		a := r.do("POST", "/v1/jobs", body)
		if p := a.problem(t); a.status != 400 || len(p.Errors) != 1 || p.Errors[0].Pointer != want {
			t.Errorf("%s: %d %s, want %s", body, a.status, a.body, want)
		}
	}
	a := r.do("POST", "/v1/jobs", `{"request":{"model":"gpt-9","messages":[{}]}}`)
	if p := a.problem(t); a.status != 400 || p.Code != "unknown_model" || !strings.Contains(p.Detail, "default") {
		t.Errorf("unknown model: %d %s", a.status, a.body)
	}
	if got := r.do("GET", "/v1/jobs", "").ids(t); got != nil {
		t.Errorf("kept all the same: %v", got)
	}
}

func TestRealStoreAway(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	if err := r.store.Close(); err != nil {
		t.Fatal(err)
	}
	if a := r.do("POST", "/v1/jobs", asking("a", "")); a.status != 503 || !strings.Contains(a.body, "unknown: repeat with the same key") {
		t.Errorf("submit: %d %s", a.status, a.body)
	}
	if a := r.do("GET", "/readyz", ""); a.status != 503 {
		t.Errorf("/readyz: %d %s", a.status, a.body)
	}
}
