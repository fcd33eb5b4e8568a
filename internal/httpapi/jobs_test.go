package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

const jobPath = "/v1/jobs/" + someID

func TestJobJSON(t *testing.T) {
	t.Parallel()
	job := succeeded()
	job.Priority, job.Deduplicated, job.Tries = jobs.PriorityHigh, true, 2
	job.CreatedAt = noon.In(time.FixedZone("", 3600)).Add(123456 * time.Microsecond)
	job.Metadata, job.Webhook.URL = map[string]string{"order": "<1842>"}, "https://example.com/?a&b"
	job.OnUnavailable, job.Degraded, job.UseCase = jobs.OnUnavailableDegrade, true, "chat"
	failed := queued()
	failed.Status, failed.FinishedAt = jobs.StatusFailed, noon.Add(time.Hour)
	failed.Error = &jobs.JobError{Code: "server_error", Message: "the provider answered 500"}
	waiting := queued()
	waiting.WaitingOn, waiting.Priority = jobs.WaitingOnFairness, jobs.PriorityLow
	waiting.Position, waiting.ETA = 17, noon.Add(90*time.Second)
	for name, c := range map[string]struct {
		job  jobs.Job
		want string
	}{
		"queued": {queued(), `{"id":"0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17","object":"job","status":"queued","waiting_on":null,` +
			`"position":null,"eta":null,"endpoint":"/v1/chat/completions","model":"default","priority":"normal",` +
			`"deadline":"2030-02-01T12:00:00Z","created_at":"2030-01-31T12:00:00Z","started_at":null,"finished_at":null,` +
			`"request_hash":"` + someHash + `","deduplicated":false,"cached":false,"age":null,"tries":0,"provider":null,` +
			`"usage":null,"cost_usd":null,"metadata":{},"webhook":null,"use_case":null,"store":true,"on_unavailable":"wait","degraded":false,"batch_id":null,"result":null,"error":null}`},
		"succeeded": {job, `{"id":"0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17","object":"job","status":"succeeded","waiting_on":null,` +
			`"position":null,"eta":null,"endpoint":"/v1/chat/completions","model":"default","priority":"high",` +
			`"deadline":"2030-02-01T12:00:00Z","created_at":"2030-01-31T12:00:00.123456Z",` +
			`"started_at":"2030-01-31T12:00:00.05Z","finished_at":"2030-01-31T12:00:02Z",` +
			`"request_hash":"` + someHash + `","deduplicated":true,"cached":false,"age":null,"tries":2,"provider":"openai",` +
			`"usage":{"input_tokens":12,"output_tokens":9,"cached_tokens":3,"reasoning_tokens":1},"cost_usd":0.001,` +
			`"metadata":{"order":"<1842>"},"webhook":{"url":"https://example.com/?a&b"},"use_case":"chat","store":true,"on_unavailable":"degrade","degraded":true,"batch_id":null,"result":{"object":"chat.completion","text":"a < b & c"},"error":null}`},
		"failed": {failed, `{"id":"0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17","object":"job","status":"failed","waiting_on":null,` +
			`"position":null,"eta":null,"endpoint":"/v1/chat/completions","model":"default","priority":"normal",` +
			`"deadline":"2030-02-01T12:00:00Z","created_at":"2030-01-31T12:00:00Z","started_at":null,` +
			`"finished_at":"2030-01-31T13:00:00Z","request_hash":"` + someHash + `","deduplicated":false,"cached":false,` +
			`"age":null,"tries":0,"provider":null,"usage":null,"cost_usd":null,"metadata":{},"webhook":null,"use_case":null,"store":true,"on_unavailable":"wait","degraded":false,"batch_id":null,"result":null,` +
			`"error":{"code":"server_error","message":"the provider answered 500"}}`},
		"waiting": {waiting, `{"id":"0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17","object":"job","status":"queued","waiting_on":"fairness",` +
			`"position":17,"eta":"2030-01-31T12:01:30Z","endpoint":"/v1/chat/completions","model":"default","priority":"low",` +
			`"deadline":"2030-02-01T12:00:00Z","created_at":"2030-01-31T12:00:00Z","started_at":null,"finished_at":null,` +
			`"request_hash":"` + someHash + `","deduplicated":false,"cached":false,"age":null,"tries":0,"provider":null,` +
			`"usage":null,"cost_usd":null,"metadata":{},"webhook":null,"use_case":null,"store":true,"on_unavailable":"wait","degraded":false,"batch_id":null,"result":null,"error":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t, Config{Service: double{job: finds(c.job)}})
			if a := h.do("GET", jobPath, ""); a.status != 200 || a.body != c.want+"\n" {
				t.Errorf("%d\ngot  %s\nwant %s", a.status, a.body, c.want)
			}
		})
	}
}

func TestETag(t *testing.T) {
	t.Parallel()
	job := queued()
	h := start(t, Config{Service: double{job: func(string, uuid.UUID) (jobs.Job, error) { return job, nil }}})
	first := h.do("GET", jobPath, "")
	tag := first.header.Get("ETag")
	if again := h.do("GET", jobPath, ""); again.header.Get("ETag") != tag {
		t.Errorf("the same job has tags %s and %s", tag, again.header.Get("ETag"))
	}
	for given, want := range map[string]int{
		tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, "*": 304, `"other"`: 200, strings.Trim(tag, `"`): 200,
	} {
		a := h.do("GET", jobPath, "", "If-None-Match", given)
		if a.status != want || a.header.Get("ETag") != tag || (want == 304) != (a.body == "") {
			t.Errorf("If-None-Match: %s: %d %q, want %d", given, a.status, a.body, want)
		}
	}
	job = succeeded()
	if a := h.do("GET", jobPath, "", "If-None-Match", tag); a.status != 200 || a.header.Get("ETag") == tag {
		t.Errorf("changed: %d, tag %s", a.status, a.header.Get("ETag"))
	}
}

func TestNoSharedCacheKeepsATenantsJob(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: granting()})
	if got := h.do("GET", jobPath, "").header.Get("Cache-Control"); got != "private, no-cache" {
		t.Errorf("Cache-Control: %q", got)
	}
}

func TestWaitForAJob(t *testing.T) {
	t.Parallel()
	var asked time.Duration
	service := double{job: finds(queued()), wait: func(_ context.Context, atMost time.Duration) (jobs.Job, error) {
		asked = atMost
		return succeeded(), nil
	}}
	h := start(t, Config{Service: service})
	for given, want := range map[string]time.Duration{
		"30s": 30 * time.Second, "60s": time.Minute, "61s": time.Minute, "3h": time.Minute, "1500ms": 1500 * time.Millisecond,
	} {
		if a := h.do("GET", jobPath+"?wait="+given, ""); a.status != 200 || asked != want || !strings.Contains(a.body, "succeeded") {
			t.Errorf("wait=%s: %d, waited %s, want %s", given, a.status, asked, want)
		}
	}
	if a := h.do("GET", jobPath+"?wait=0s", ""); !strings.Contains(a.body, `"queued"`) {
		t.Errorf("wait=0s: %s", a.body)
	}
	for _, given := range []string{"30", "-1s", "soon", "", "1s&wait=2s"} {
		if a := h.do("GET", jobPath+"?wait="+given, ""); a.status != 400 || !strings.Contains(a.body, "wait") {
			t.Errorf("wait=%s: %d %s", given, a.status, a.body)
		}
	}
}

// What is no id is not looked for, and is answered as a job that is not there.
func TestNoID(t *testing.T) {
	t.Parallel()
	h := start(t, Config{})
	for _, id := range []string{
		"x", "0199f1a27c3e7d4b9a513f0c8e6b2d17", "urn:uuid:" + someID, "%7B" + someID + "%7D", someID + "0", "a%2Fb", "..",
	} {
		for method, path := range map[string]string{"GET": "", "DELETE": "", "POST": "/cancel"} {
			a := h.do(method, "/v1/jobs/"+id+path, "")
			if a.status != 404 || a.problem(t).Code != "not_found" {
				t.Errorf("%s %s: %d %s", method, id, a.status, a.body)
			}
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	high := jobs.PriorityHigh
	after := uuid.MustParse(someID)
	for query, want := range map[string]jobs.JobQuery{
		"":                 {Limit: 20},
		"limit=1":          {Limit: 1},
		"limit=100":        {Limit: 100},
		"status=succeeded": {Status: jobs.StatusSucceeded, Limit: 20},
		"priority=high":    {Priority: &high, Limit: 20},
		"model=a/b":        {Model: "a/b", Limit: 20},
		"created_after=2030-01-31T13:00:00%2B01:00&created_before=2030-01-31T12:00:00.5Z": {
			CreatedAfter: noon, CreatedBefore: noon.Add(500 * time.Millisecond), Limit: 20,
		},
		"metadata[order]=1842&metadata[a%20b]=%C3%A9": {
			Metadata: map[string]string{"order": "1842", "a b": "é"}, Limit: 20,
		},
		"batch_id=" + someBatch:                              {Batch: uuid.MustParse(someBatch), Limit: 20},
		"batch_id=batch_0199f1a27c3e7d4b9a513f0c8e6b2d1a":    {Batch: uuid.MustParse(someBatch), Limit: 20},
		"batch_id=msgbatch_0199f1a27c3e7d4b9a513f0c8e6b2d1a": {Batch: uuid.MustParse(someBatch), Limit: 20},
		"metadata[a[b]]=x":                                   {Metadata: map[string]string{"a[b]": "x"}, Limit: 20},
		"cursor=" + encodeCursor(after):                      {Before: after, Limit: 20},
	} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			want.Tenant = DefaultTenant
			var got jobs.JobQuery
			h := start(t, Config{Service: double{list: func(q jobs.JobQuery) ([]jobs.Job, bool, error) {
				got = q
				return nil, false, nil
			}}})
			a := h.do("GET", "/v1/jobs?"+query, "")
			if a.status != 200 || !reflect.DeepEqual(got, want) {
				t.Errorf("%d %s\ngot  %+v\nwant %+v", a.status, a.body, got, want)
			}
			if a.body != `{"data":[],"next_cursor":null,"has_more":false}`+"\n" {
				t.Errorf("body %s", a.body)
			}
		})
	}
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	h := start(t, Config{})
	filters := url.Values{}
	for i := range 17 {
		filters.Set("metadata["+strings.Repeat("k", i+1)+"]", "v")
	}
	for query, want := range map[string]string{
		"limit=0": `"limit"`, "limit=101": `"limit"`, "limit=ten": `"limit"`, "limit=": `"limit"`, "limit=1&limit=2": "twice",
		"status=done": `"status"`, "status=": `"status"`, "priority=urgent": `"priority"`, "model=": `"model"`,
		"model=a%00b": `"model"`, "model=%FF": `"model"`, "created_after=yesterday": `"created_after"`,
		"created_before=2030-01-31": `"created_before"`, "created_after=0001-01-01T00:00:00Z": `"created_after"`,
		"cursor=abc": `"cursor"`, "cursor=": `"cursor"`, "cursor=" + strings.Repeat("A", 23): `"cursor"`,
		"cursor=" + encodeCursor(uuid.New()) + "AAAA": `"cursor"`,
		"batch_id=x": `"batch_id"`, "batch_id=": `"batch_id"`, "batch_id=" + uuid.Nil.String(): `"batch_id"`,
		"batch_id=batch_" + someBatch: `"batch_id"`, "offset=2&page=3": `"offset" is not a known query parameter here; "page"`,
		"Status=queued": `"Status"`, "metadata=x": `"metadata"`, "metadata[]=x": "metadata", "metadata[a=x": `"metadata[a"`,
		"metadata[a]=": "metadata", "metadata[a]=%00": "metadata", "metadata[a]=1&metadata[a]=2": "twice",
		"metadata[" + strings.Repeat("k", 65) + "]=v": "metadata", "metadata[a]=" + strings.Repeat("v", 513): "metadata",
		filters.Encode(): "at most 16", "a=%zz": "not well formed", "limit=1;status=queued": "not well formed",
	} {
		a := h.do("GET", "/v1/jobs?"+query, "")
		if a.status != 400 || !strings.Contains(a.problem(t).Detail, want) {
			t.Errorf("%s: %d %s, want %s", query, a.status, a.body, want)
		}
	}
}

// Pages follow one another by the cursor alone.
func TestPages(t *testing.T) {
	t.Parallel()
	var all []jobs.Job
	for range 5 {
		job := queued()
		job.ID = uuid.Must(uuid.NewV7())
		all = append([]jobs.Job{job}, all...)
	}
	h := start(t, Config{Service: double{list: func(q jobs.JobQuery) ([]jobs.Job, bool, error) {
		page := all
		for i, job := range all {
			if job.ID == q.Before {
				page = all[i+1:]
			}
		}
		return page[:min(q.Limit, len(page))], len(page) > q.Limit, nil
	}}})
	var got []uuid.UUID
	path := "/v1/jobs?limit=2"
	for range 4 {
		var page struct {
			Data []struct {
				ID uuid.UUID `json:"id"`
			} `json:"data"`
			NextCursor *string `json:"next_cursor"`
		}
		if err := json.Unmarshal([]byte(h.do("GET", path, "").body), &page); err != nil {
			t.Fatal(err)
		}
		for _, job := range page.Data {
			got = append(got, job.ID)
		}
		if page.NextCursor == nil {
			break
		}
		path = "/v1/jobs?limit=2&cursor=" + url.QueryEscape(*page.NextCursor)
	}
	for i, job := range all {
		if i >= len(got) || got[i] != job.ID || len(got) != len(all) {
			t.Fatalf("got %v", got)
		}
	}
}

func TestCancel(t *testing.T) {
	t.Parallel()
	job := queued()
	job.Status, job.FinishedAt = jobs.StatusCancelled, noon
	job.Error = &jobs.JobError{Code: jobs.CodeCancelled, Message: "cancelled by the caller"}
	h := start(t, Config{Service: double{cancel: finds(job)}})
	if a := h.do("POST", jobPath+"/cancel", ""); a.status != 202 || !strings.Contains(a.body, `"status":"cancelled"`) {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	second := queued()
	second.ID = uuid.Must(uuid.NewV7())
	h := start(t, Config{Service: double{retry: func(_ string, id uuid.UUID) (jobs.Submitted, error) {
		if id.String() != someID {
			t.Errorf("retried %s", id)
		}
		return jobs.Submitted{Job: second}, nil
	}}})
	a := h.do("POST", jobPath+"/retry", "")
	if a.status != 202 || a.header.Get("Location") != "/v1/jobs/"+second.ID.String() || a.header.Get("Retry-After") != "1" {
		t.Errorf("%d %v", a.status, a.header)
	}
}

func TestDelete(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Service: granting()})
	if a := h.do("DELETE", jobPath, ""); a.status != http.StatusNoContent || a.body != "" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	reserved, cost := jobs.Dollar/100, jobs.Dollar/400
	id := uuid.MustParse(someID)
	h := start(t, Config{Service: double{calls: func(string, uuid.UUID) ([]jobs.Call, error) {
		return []jobs.Call{
			{
				ID: id, RequestHash: someHash, Provider: "openai", Model: "gpt-5-mini", Status: jobs.CallFailure,
				ErrorClass: providers.Truncated, HTTPStatus: 200, Latency: 1500*time.Millisecond + 900*time.Microsecond,
				TimeToFirstToken: 300 * time.Microsecond, Usage: providers.Usage{Known: true, InputTokens: 3},
				ReservedUSD: &reserved, CostUSD: &cost, ProviderRequestID: "req_1", Partial: "Rhi", CreatedAt: noon,
				ServedModel: "gpt-5-mini-2030-01-31",
			},
			{ID: id, RequestHash: someHash, Provider: "local", Model: "m", CreatedAt: noon},
		}, nil
	}}})
	const want = `{"data":[{"id":"0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17","object":"call","request_hash":"` + someHash + `",` +
		`"provider":"openai","model":"gpt-5-mini","status":"failure","error_class":"truncated","http_status":200,"latency_ms":1500,` +
		`"ttft_ms":0,"usage":{"input_tokens":3,"output_tokens":0,"cached_tokens":0,"reasoning_tokens":0},"reserved_usd":0.01,` +
		`"cost_usd":0.0025,"served_model":"gpt-5-mini-2030-01-31","provider_request_id":"req_1","partial":"Rhi","created_at":"2030-01-31T12:00:00Z"},` +
		`{"id":"0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d17","object":"call","request_hash":"` + someHash + `","provider":"local","model":"m",` +
		`"status":null,"error_class":null,"http_status":null,"latency_ms":null,"ttft_ms":null,"usage":null,"reserved_usd":null,` +
		`"cost_usd":null,"served_model":null,"provider_request_id":null,"partial":null,"created_at":"2030-01-31T12:00:00Z"}],` +
		`"next_cursor":null,"has_more":false}` + "\n"
	if a := h.do("GET", jobPath+"/calls", ""); a.status != 200 || a.body != want {
		t.Errorf("%d\ngot  %s\nwant %s", a.status, a.body, want)
	}
}
