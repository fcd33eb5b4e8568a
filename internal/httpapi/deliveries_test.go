package httpapi

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func TestDeliveryJSON(t *testing.T) {
	t.Parallel()
	hooks := working()
	hooks.delivery.Job, hooks.delivery.Replay, hooks.delivery.URL = uuid.MustParse(someID), uuid.MustParse(someReplay), "https://example.com/job"
	hooks.delivery.Attempts, hooks.delivery.Thin = 3, true
	hooks.attempts = []delivery.Record{
		{
			N: 1, At: noon.In(time.FixedZone("", 3600)), Trigger: delivery.TriggerEvent, Status: delivery.StatusPending, DueAt: noon.Add(time.Minute),
			Attempt: delivery.Attempt{Verdict: delivery.Failed, Failure: delivery.FailureDNS, Latency: 1999 * time.Microsecond},
		},
		{
			N: 2, At: noon, Trigger: delivery.TriggerEvent, Status: delivery.StatusPending, DueAt: noon.Add(time.Minute),
			Attempt: delivery.Attempt{Failure: delivery.FailureStatus, Status: 429, RetryAfter: 90 * time.Second, RemoteAddr: "203.0.113.9:443", Answer: []byte("é<")},
		},
		{N: 3, At: noon, Trigger: delivery.TriggerReplay, Status: delivery.StatusDelivered, Attempt: delivery.Attempt{Status: 204, Answer: []byte{0xff}}},
	}
	h := start(t, Config{Webhooks: hooks})
	got := h.do("GET", deliveriesPath+someDelivery, "")
	want := `{"id":"` + someDelivery + `","object":"delivery","endpoint_id":"` + someEndpoint + `","event_id":"evt_` + someEvent + `",` +
		`"job_id":"` + someID + `","type":"endpoint.test","url":"https://example.com/job","status":"pending","trigger":"test","replay_id":"` + someReplay + `",` +
		`"attempt_count":3,"next_attempt_at":"2030-01-31T12:00:00Z","thin":true,"created_at":"2030-01-31T12:00:00Z","finished_at":null,"attempts":[` +
		`{"n":1,"object":"delivery_attempt","at":"2030-01-31T12:00:00Z","trigger":"event","status_code":null,"error_class":"dns","latency_ms":1,` +
		`"remote_address":null,"retry_after":null,"answer":null,"answer_encoding":null,"next_attempt_at":"2030-01-31T12:01:00Z"},` +
		`{"n":2,"object":"delivery_attempt","at":"2030-01-31T12:00:00Z","trigger":"event","status_code":429,"error_class":"status","latency_ms":0,` +
		`"remote_address":"203.0.113.9:443","retry_after":"1m30s","answer":"é<","answer_encoding":"utf-8","next_attempt_at":"2030-01-31T12:01:00Z"},` +
		`{"n":3,"object":"delivery_attempt","at":"2030-01-31T12:00:00Z","trigger":"replay","status_code":204,"error_class":null,"latency_ms":0,` +
		`"remote_address":null,"retry_after":null,"answer":"/w==","answer_encoding":"base64","next_attempt_at":null}]}`
	if got.status != 200 || got.body != want+"\n" {
		t.Errorf("%d\ngot  %s\nwant %s", got.status, got.body, want)
	}
	hooks.delivery = delivery.Delivery{
		ID: uuid.MustParse(someDelivery), Type: delivery.JobFailed, Status: delivery.StatusFailed, Trigger: delivery.TriggerEvent, CreatedAt: noon,
		DueAt: noon, FinishedAt: noon.Add(time.Hour),
	}
	hooks.attempts = nil
	for _, part := range []string{`"job_id":null`, `"url":null`, `"replay_id":null`, `"next_attempt_at":null`, `"finished_at":"2030-01-31T13:00:00Z"`, `"attempts":[]`} {
		if got := h.do("GET", deliveriesPath+someDelivery, ""); !strings.Contains(got.body, part) {
			t.Errorf("the answer lacks %s:\n%s", part, got.body)
		}
	}
}

// An answer that is cut in the middle of a character is text all the same; what is no text
// is told byte for byte.
func TestAnswersOfEndpoints(t *testing.T) {
	t.Parallel()
	full := strings.Repeat("a", delivery.MaxAnswer)
	for body, want := range map[string]string{
		"ok":                          "utf-8 ok",
		"\x00":                        "utf-8 \x00",
		"a\xc3":                       "base64 YcM=",
		full[1:] + "\xc3":             "utf-8 " + full[1:],
		full[2:] + "\xe2\x82":         "utf-8 " + full[2:],
		full[3:] + "\xf0\x9f\x98":     "utf-8 " + full[3:],
		"\xff" + full[1:]:             "base64 /",
		full[4:] + "\xf0\x9f\x98\xff": "base64 YWFh",
		strings.Repeat("é", delivery.MaxAnswer/2): "utf-8 é",
	} {
		answer, encoding := encodeAnswer([]byte(body))
		if got := *encoding + " " + *answer; !strings.HasPrefix(got, want) || strings.HasPrefix(want, "utf-8 a") && got != want {
			t.Errorf("%.20q…: got %.40q…, want %.40q…", body, got, want)
		}
	}
}

func TestListDeliveries(t *testing.T) {
	t.Parallel()
	hooks := working()
	hooks.more = true
	h := start(t, Config{Webhooks: hooks, Service: granting()})
	var page listJSON[deliveryJSON]
	got := h.do("GET", endpointPath+"/deliveries?status=failed&type=endpoint.test&limit=7", "")
	if err := json.Unmarshal([]byte(got.body), &page); err != nil || len(page.Data) != 1 || !page.HasMore || page.Data[0].Attempts != nil {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	want := delivery.Query{
		Tenant: DefaultTenant, Endpoint: uuid.MustParse(someEndpoint), Status: delivery.StatusFailed, Type: "endpoint.test", Limit: 7,
	}
	if hooks.query != want {
		t.Errorf("asked for %+v, want %+v", hooks.query, want)
	}
	hooks.more = false
	h.do("GET", jobPath+"/deliveries?cursor="+*page.NextCursor, "")
	want = delivery.Query{Tenant: DefaultTenant, Job: uuid.MustParse(someID), Before: uuid.MustParse(someDelivery), Limit: 20}
	if hooks.query != want {
		t.Errorf("asked for %+v, want %+v", hooks.query, want)
	}
	for _, query := range []string{"status=done", "type=job.*", "limit=0", "cursor=x", "x=1", "status=failed&status=failed"} {
		if got := h.do("GET", endpointPath+"/deliveries?"+query, ""); got.status != 400 {
			t.Errorf("%s: got %d %s", query, got.status, got.body)
		}
	}
}

// Whose job it is not sees nothing of where its events went.
func TestDeliveriesOfNoJob(t *testing.T) {
	t.Parallel()
	hooks := working()
	h := start(t, Config{Webhooks: hooks, Service: failing(jobs.ErrNotFound)})
	if got := h.do("GET", jobPath+"/deliveries", ""); got.status != 404 || hooks.query != (delivery.Query{}) {
		t.Errorf("got %d %s, asked for %+v", got.status, got.body, hooks.query)
	}
}

func TestRedeliver(t *testing.T) {
	t.Parallel()
	hooks := working()
	h := start(t, Config{Webhooks: hooks})
	for _, path := range []string{deliveriesPath + someDelivery + "/redeliver", endpointPath + "/test"} {
		got := h.do("POST", path, "")
		if got.status != 202 || got.header.Get("Location") != deliveriesPath+someDelivery || !strings.Contains(got.body, `"attempts":null`) {
			t.Errorf("%s: got %d %v %s", path, got.status, got.header, got.body)
		}
		if !strings.Contains(path, hooks.asked.String()) {
			t.Errorf("%s: asked for %s", path, hooks.asked)
		}
	}
}

func TestReplays(t *testing.T) {
	t.Parallel()
	hooks := working()
	h := start(t, Config{Webhooks: hooks})
	got := h.do("POST", endpointPath+"/replay", `{"since":"2030-01-31T13:00:00+01:00","until":"2030-01-31T13:00:00Z","status":["failed","delivered"],"types":["job.*"]}`, asJSON()...)
	want := `{"id":"` + someReplay + `","object":"webhook_replay","endpoint_id":"` + someEndpoint + `","selects":{"since":"2030-01-31T11:00:00Z",` +
		`"until":"2030-01-31T12:00:00Z","status":["failed"],"types":[]},"status":"running","total":3,"queued":0,"delivered":0,"failed":0,` +
		`"created_at":"2030-01-31T12:00:00Z","finished_at":null}`
	if got.status != 202 || got.header.Get("Location") != replaysPath+someReplay || got.body != want+"\n" {
		t.Errorf("%d %v\ngot  %s\nwant %s", got.status, got.header, got.body, want)
	}
	asked := delivery.Replay{
		Tenant: DefaultTenant, Endpoint: uuid.MustParse(someEndpoint), Since: noon, Until: noon.Add(time.Hour),
		Statuses: []delivery.Status{delivery.StatusFailed, delivery.StatusDelivered}, Types: []string{"job.*"},
	}
	if !reflect.DeepEqual(hooks.selected, asked) {
		t.Errorf("asked for %+v, want %+v", hooks.selected, asked)
	}
	for path, method := range map[string]string{replaysPath + someReplay: "GET", replaysPath + someReplay + "/cancel": "POST"} {
		if got := h.do(method, path, ""); got.body != want+"\n" || hooks.asked.String() != someReplay {
			t.Errorf("%s: got %s, asked for %s", path, got.body, hooks.asked)
		}
	}
	if got := h.do("GET", endpointPath+"/replays", ""); got.body != `{"data":[`+want+`],"next_cursor":null,"has_more":false}`+"\n" {
		t.Errorf("got %s", got.body)
	}
	var wrong []string
	for _, e := range h.do("POST", endpointPath+"/replay", `{"since":"noon","until":5,"status":"failed","types":[7],"x":1}`, asJSON()...).problem(t).Errors {
		wrong = append(wrong, e.Pointer)
	}
	if want := []string{"/since", "/status", "/types/0", "/until", "/x"}; !slices.Equal(wrong, want) {
		t.Errorf("got %v, want %v", wrong, want)
	}
}
