package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/batches"
	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
)

// content is what is in a file.
func content(t *testing.T, kept *files.Service, tenant string, id uuid.UUID) string {
	t.Helper()
	f, err := kept.File(t.Context(), tenant, id)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(kept.Open(t.Context(), tenant, f))
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

// left lists the files of a tenant.
func left(t *testing.T, kept *files.Service, tenant string) []files.File {
	t.Helper()
	all, _, err := kept.List(t.Context(), files.Query{Tenant: tenant, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Fields may come in any order: the lines are the same.
func TestInlineRequestsBecomeLines(t *testing.T) {
	t.Parallel()
	const two = `"requests": [ {"custom_id":"a","request":{ "b" : 1 ,"a":"<\u00e9>\n"}},{"request":{"x":[]},"custom_id":"b\"\u2028"}]`
	for name, body := range map[string]string{
		"endpoint first": `{"endpoint":"/v1/responses","metadata":{"k":"v"},` + two + `}`,
		"endpoint last":  `{` + two + `,"metadata":{"k":"v"},"endpoint":"/v1/responses"} `,
		"in between":     "\n{\"metadata\":{\"k\":\"v\"},\n" + two + ",\"endpoint\":\"/v1/responses\",\"input_file_id\":null}\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &batching{batch: running()}
			h, kept := startBatches(t, b)
			got := h.do("POST", batchesPath, body, asJSON("Penstock-Tenant", "mine")...)
			if got.status != 202 || got.header.Get("Location") != batchPath || got.header.Get("Idempotent-Replayed") != "" {
				t.Fatalf("got %d %v %s", got.status, got.header, got.body)
			}
			want := `{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"b":1,"a":"<\u00e9>\n"}}` + "\n" +
				`{"custom_id":"b\"` + "\u2028" + `","method":"POST","url":"/v1/responses","body":{"x":[]}}` + "\n"
			if text := content(t, kept, "mine", b.made.Input); text != want {
				t.Errorf("got  %s\nwant %s", text, want)
			}
			if all := left(t, kept, "mine"); len(all) != 1 || all[0].Purpose != files.PurposeBatch {
				t.Errorf("files %+v", all)
			}
		})
	}
}

func TestWhatIsSaidOfABatch(t *testing.T) {
	t.Parallel()
	const file = `"input_file_id":"file-0199f1a27c3e7d4b9a513f0c8e6b2d17"`
	input := uuid.MustParse(someID)
	b := &batching{batch: running()}
	h, _ := startBatches(t, b)
	for body, want := range map[string]batches.New{
		`{` + file + `}`: {Policy: batches.Policy{Priority: jobs.PriorityLow}},
		`{` + file + `,"priority":"high","completion_window":"48h","dedupe":false,"concurrency":7,"on_unavailable":"degrade","use_case":"c",` +
			`"user":"u","metadata":{"a":"b"},"cache":{"max_age":"1s","stale_while_revalidate":"2s","stale_if_error":"3s","no_store":true}}`: {
			Window: "48h", Metadata: map[string]string{"a": "b"},
			Policy: batches.Policy{
				Priority: jobs.PriorityHigh, Concurrency: 7, NoDedupe: true, MaxAge: time.Second, StaleWhileRevalidate: 2 * time.Second,
				StaleIfError: 3 * time.Second, NoStore: true, OnUnavailable: new(jobs.OnUnavailableDegrade), UseCase: "c", User: "u",
			},
		},
		`{` + file + `,"timeout":"90m"}`:                     {Window: "1h30m0s", Policy: batches.Policy{Priority: jobs.PriorityLow}},
		`{` + file + `,"deadline":"2030-01-31T12:00:00Z"}`:   {Deadline: noon, Policy: batches.Policy{Priority: jobs.PriorityLow}},
		`{"input_file_id":"` + someID + `","requests":null}`: {Policy: batches.Policy{Priority: jobs.PriorityLow}},
	} {
		if got := h.do("POST", batchesPath, body, asJSON("Penstock-Tenant", "mine", "Idempotency-Key", "k")...); got.status != 202 {
			t.Errorf("%s: got %d %s", body, got.status, got.body)
		}
		want.Tenant, want.Endpoint, want.Input = "mine", "/v1/chat/completions", input
		want.Repeat = batches.Repeat{Key: "k", Within: 24 * time.Hour, Fingerprint: b.made.Repeat.Fingerprint}
		if !reflect.DeepEqual(b.made, want) {
			t.Errorf("%s: asked %+v, want %+v", body, b.made, want)
		}
	}
}

// What is no good is refused with the place it is at, and nothing is left of it.
func TestBatchRefusals(t *testing.T) {
	t.Parallel()
	const one = `{"custom_id":"a","request":{}}`
	b := &batching{batch: running()}
	h, kept := startBatches(t, b)
	for body, want := range map[string]string{
		``: "", `[]`: "", `"x"`: "", `{`: "", `{"requests"`: "/requests", `null`: "", "\x00": "", `{}`: "/requests", `{"requests":[]}`: "/requests",
		`{"requests":{}}`: "/requests", `{"requests":[`: "/requests", `{"requests":[` + one: "/requests", `{"requests":[` + one + `}`: "/requests",
		`{"requests":[` + one + `]`: "", `{"requests":[` + one + `]} x`: "", `{"requests":[` + one + `]}{}`: "",
		`{"requests":[7]}`: "/requests/0", `{"requests":[` + one + `,null]}`: "/requests/1", `{"requests":[` + one + `,{]}`: "/requests/1",
		`{"requests":[{"custom_id":7,"request":{}}]}`:                               "/requests/0/custom_id",
		`{"requests":[{"custom_id":null,"request":{}}]}`:                            "/requests/0/custom_id",
		`{"requests":[{"request":{}}]}`:                                             "/requests/0/custom_id",
		`{"requests":[{"custom_id":"a","request":[]}]}`:                             "/requests/0/request",
		`{"requests":[{"custom_id":"a"}]}`:                                          "/requests/0/request",
		`{"requests":[{"custom_id":"a","body":{}}]}`:                                "/requests/0/body",
		`{"requests":[{"custom_id":"a","custom_id":"b","request":{}}]}`:             "/requests/0/custom_id",
		`{"requests":[{"custom_id":"a","request":{"a":}}]}`:                         "/requests/0/request",
		`{"requests":[` + one + `],"requests":[]}`:                                  "/requests",
		`{"requests":[` + one + `],"input_file_id":"` + someID + `"}`:               "/input_file_id",
		`{"` + strings.Repeat("k", 3*maxFields) + `":1}`:                            "",
		`{"user":"` + strings.Repeat("u", maxFields) + `"}`:                         "/user",
		`{"user":"u","metadata":{"a":"` + strings.Repeat("u", maxFields-20) + `"}}`: "/metadata",
		`{"colour":"red"}`: "/colour", `{"priority":"urgent"}`: "/priority", `{"concurrency":0}`: "/concurrency", `{"concurrency":2001}`: "/concurrency",
		`{"concurrency":1.5}`: "/concurrency", `{"timeout":"0s"}`: "/timeout", `{"timeout":"9999h"}`: "/timeout", `{"timeout":60}`: "/timeout",
		`{"timeout":"1h","completion_window":"1h"}`: "/timeout", `{"timeout":"1h","deadline":"2030-01-31T12:00:00Z"}`: "/timeout",
		`{"input_file_id":"x"}`: "/input_file_id", `{"input_file_id":7}`: "/input_file_id",
		`{"priority":"urgent","requests":[` + one + strings.Repeat(" ", 10) + `]}`: "/priority",
		`{"metadata":{"a":"b","a":"c"},"input_file_id":"` + someID + `"}`:          "/metadata/a",
	} {
		refusesBatch(t, h, b, kept, body, want)
	}
}

// refusesBatch submits a batch that is wrong in a place, and nothing of it is left.
func refusesBatch(t *testing.T, h *harness, b *batching, kept *files.Service, body, want string) {
	t.Helper()
	got := h.do("POST", batchesPath, body, asJSON()...)
	p := got.problem(t)
	where := ""
	if len(p.Errors) > 0 {
		where = p.Errors[0].Pointer
	}
	if got.status != 400 || where != want || p.Code != "invalid_field" {
		t.Errorf("%.80s: %d %q %s, want %q", body, got.status, where, got.body, want)
	}
	if !reflect.DeepEqual(b.made, batches.New{}) || len(left(t, kept, DefaultTenant)) != 0 {
		t.Errorf("%.80s: left %+v, %v", body, b.made, left(t, kept, DefaultTenant))
	}
	if used := h.api.bodies.used.Load(); used != 0 {
		t.Errorf("%.80s: %d bytes are still counted", body, used)
	}
}

// A body is JSON in UTF-8, and says so.
func TestContentOfABatch(t *testing.T) {
	t.Parallel()
	b := &batching{batch: running()}
	h, kept := startBatches(t, b)
	for _, c := range []struct{ kind, encoding, want string }{
		{"", "", "Content-Type: application/json"},
		{"application/jsonl", "", "Content-Type: application/json"},
		{"application/json; charset=iso-8859-1", "", "UTF-8"},
		{"application/json", "gzip", "Content-Encoding"},
	} {
		got := h.do("POST", batchesPath, inline, "Content-Type", c.kind, "Content-Encoding", c.encoding)
		if got.status != 400 || !strings.Contains(got.problem(t).Detail, c.want) {
			t.Errorf("%q %q: got %d %s, want %q", c.kind, c.encoding, got.status, got.body, c.want)
		}
	}
	if !reflect.DeepEqual(b.made, batches.New{}) || len(left(t, kept, DefaultTenant)) != 0 {
		t.Errorf("left %+v, %v", b.made, left(t, kept, DefaultTenant))
	}
}

// With equal words, in whatever order, a submission is the same; and what was spooled in vain
// is removed.
func TestBatchIdempotency(t *testing.T) {
	t.Parallel()
	b := &batching{batch: running()}
	h, kept := startBatches(t, b)
	prints := map[string][32]byte{}
	for name, body := range map[string]string{
		"first": `{"endpoint":"/v1/responses","user":"u","requests":[{"custom_id":"a","request":{"x":1}}]}`,
		"again": `{"requests":[{"request":{"x": 1},"custom_id":"a"}],"user":"u","endpoint":"/v1/responses"}`,
		"user":  `{"endpoint":"/v1/responses","user":"v","requests":[{"custom_id":"a","request":{"x":1}}]}`,
		"x":     `{"endpoint":"/v1/responses","user":"u","requests":[{"custom_id":"a","request":{"x":2}}]}`,
		"file":  `{"endpoint":"/v1/responses","user":"u","input_file_id":"` + someID + `"}`,
		"other": `{"endpoint":"/v1/responses","user":"u","input_file_id":"` + someBatch + `"}`,
	} {
		if got := h.do("POST", batchesPath, body, asJSON("Idempotency-Key", "k")...); got.status != 202 {
			t.Fatalf("%s: %d %s", name, got.status, got.body)
		}
		prints[name] = b.made.Repeat.Fingerprint
	}
	if prints["first"] != prints["again"] {
		t.Error("in another order it is another submission")
	}
	delete(prints, "again")
	unique := map[[32]byte]bool{}
	for _, sum := range prints {
		unique[sum] = true
	}
	if len(unique) != len(prints) {
		t.Errorf("%d fingerprints of %d submissions", len(unique), len(prints))
	}
	before := len(left(t, kept, DefaultTenant))
	b.replayed = true
	got := h.do("POST", batchesPath, inline, asJSON("Idempotency-Key", "k")...)
	if got.status != 202 || got.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("replayed: %d %v", got.status, got.header)
	}
	b.err = jobs.ErrIdempotencyMismatch
	if got := h.do("POST", batchesPath, inline, asJSON("Idempotency-Key", "k")...); got.status != 422 {
		t.Errorf("mismatch: %d", got.status)
	}
	if after := len(left(t, kept, DefaultTenant)); after != before {
		t.Errorf("%d files, before %d", after, before)
	}
}

// Requests are kept as they arrive, and what is kept is not held.
func TestRequestsAreNotHeld(t *testing.T) {
	t.Parallel()
	b := &batching{batch: running()}
	kept := spool(t)
	h := start(t, Config{Batches: b, Files: kept, MaxBodies: 200 << 10})
	from, to := io.Pipe()
	answers := make(chan answer, 1)
	go func() { answers <- h.stream(from) }()
	request := `{"custom_id":"a","request":{"text":"` + strings.Repeat("x", 64<<10) + `"}}`
	_, _ = io.WriteString(to, `{"requests":[`+request)
	for range 63 { // 4 MiB, twenty times what may be held
		_, _ = io.WriteString(to, ","+request)
	}
	if used := h.api.bodies.used.Load(); used > 200<<10 {
		t.Errorf("%d bytes are counted", used)
	}
	_, _ = io.WriteString(to, "]}")
	_ = to.Close()
	if got := <-answers; got.status != 202 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if size := len(content(t, kept, DefaultTenant, b.made.Input)); size < 4<<20 {
		t.Errorf("%d bytes were kept", size)
	}
}

// stream posts a batch as it is written, past the contract, which would read it first.
func (h *harness) stream(body io.Reader) answer {
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://penstock"+batchesPath, body)
	if err != nil {
		return answer{body: err.Error()}
	}
	r.Header.Set("Content-Type", "application/json")
	transport := &http.Transport{DialContext: h.dial}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(r)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer res.Body.Close()
	all, _ := io.ReadAll(res.Body)
	return answer{status: res.StatusCode, header: res.Header, body: string(all)}
}

// Of an upload that is cut nothing is left.
func TestACutUpload(t *testing.T) {
	t.Parallel()
	b := &batching{batch: running()}
	h, kept := startBatches(t, b)
	from, to := io.Pipe()
	answers := make(chan answer, 1)
	go func() { answers <- h.stream(from) }()
	for i := range 40 {
		_, _ = fmt.Fprintf(to, `%s{"custom_id":"%d","request":{"text":"%s"}}`, []string{`{"requests":[`, ","}[min(i, 1)], i, strings.Repeat("x", 64<<10))
	}
	_ = to.CloseWithError(errors.New("cut"))
	<-answers
	h.lines() // it has stopped
	if all := left(t, kept, DefaultTenant); len(all) != 0 || !reflect.DeepEqual(b.made, batches.New{}) {
		t.Errorf("left %v, %+v", all, b.made)
	}
	if used := h.api.bodies.used.Load(); used != 0 {
		t.Errorf("%d bytes are still counted", used)
	}
}
