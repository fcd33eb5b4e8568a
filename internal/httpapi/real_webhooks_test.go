package httpapi

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/storage/sqlite"
	"github.com/penstock-dev/penstock/webhooks/delivery"
	"github.com/penstock-dev/penstock/webhooks/guard"
)

// realWebhooks is the real service; jobs may have webhooks under https://hooks.example.com/p/.
func realWebhooks(t *testing.T, store *sqlite.Store) *delivery.Service {
	t.Helper()
	g, err := guard.New(guard.Config{})
	if err != nil {
		t.Fatal(err)
	}
	under, err := delivery.ParseAllowed("https://hooks.example.com/p/")
	if err != nil {
		t.Fatal(err)
	}
	hooks, err := delivery.NewService(delivery.ServiceConfig{
		Store: store, Guard: g, Allowed: map[string][]delivery.Allowed{DefaultTenant: {under}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return hooks
}

// as reads an answer of the wanted status.
func as[T any](t testing.TB, a answer, status int) (v T) {
	t.Helper()
	if a.status != status {
		t.Fatalf("got %d %s, want %d", a.status, a.body, status)
	}
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("got %s: %v", a.body, err)
	}
	return v
}

// endpoint makes one.
func (r *realHarness) endpoint(fields string) endpointJSON {
	r.t.Helper()
	return as[endpointJSON](r.t, r.do("POST", "/v1/webhook-endpoints", fields, asJSON()...), 201)
}

// ended submits a job and has it succeed.
func (r *realHarness) ended(prompt, more string) string {
	r.t.Helper()
	id := r.do("POST", "/v1/jobs", asking(prompt, more)).job(r.t).ID
	r.run(result)
	return id
}

func (r *realHarness) deliveries(path string) []deliveryJSON {
	r.t.Helper()
	return as[listJSON[deliveryJSON]](r.t, r.do("GET", path+"/deliveries", ""), 200).Data
}

func TestRealEndpoint(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	made := r.endpoint(`{"url":"https://example.com/hooks","types":["job.*"],"metadata":{"team":"a"},"timeout":"10s","per_minute":60,
		"schedule":["0s","1m"],"headers":{"X-A":"b"},"include_result":true,"signature":"v1a","description":"d"}`)
	if made.Secret == nil || made.PublicKey == nil || made.Version != 1 {
		t.Fatalf("made %+v", made)
	}
	path := endpointsPath + made.ID.String()
	found := as[endpointJSON](t, r.do("GET", path, ""), 200)
	made.Secret = nil
	if got, want := encoded(t, found), encoded(t, made); got != want {
		t.Errorf("found\n%s, made\n%s", got, want)
	}
	changed := as[endpointJSON](t, r.do("PATCH", path, `{"timeout":null,"metadata":null,"status":"disabled"}`, asJSON()...), 200)
	if changed.Timeout != "15s" || len(changed.Metadata) != 0 || changed.Status != "disabled" || *changed.DisabledReason != "requested" ||
		changed.Version != 2 || *changed.PerMinute != 60 || *changed.PublicKey != *made.PublicKey {
		t.Errorf("changed to %+v", changed)
	}
	if found = as[endpointJSON](t, r.do("GET", path, ""), 200); encoded(t, found) != encoded(t, changed) {
		t.Errorf("found %+v, changed to %+v", found, changed)
	}
	turned := as[rotationJSON](t, r.do("POST", path+"/rotate", `{"overlap":"1h"}`, asJSON()...), 200)
	if turned.PublicKey == nil || *turned.PublicKey == *made.PublicKey || turned.PreviousUntil == nil || *turned.EndpointID != made.ID {
		t.Errorf("rotated to %+v", turned)
	}
	if found = as[endpointJSON](t, r.do("GET", path, ""), 200); *found.PublicKey != *turned.PublicKey {
		t.Errorf("public key %s, want that of the new secret", *found.PublicKey)
	}
	if a := r.do("DELETE", path, ""); a.status != 204 {
		t.Errorf("delete: %d %s", a.status, a.body)
	}
	if a := r.do("GET", path, ""); a.status != 404 || a.problem(t).Detail != noEndpoint {
		t.Errorf("deleted: %d %s", a.status, a.body)
	}
}

func encoded(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRealEndpointsInPages(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	var ids []uuid.UUID
	for range 3 {
		ids = append([]uuid.UUID{r.endpoint(`{"url":"https://example.com/"}`).ID}, ids...)
	}
	var got []uuid.UUID
	cursor := ""
	for range 2 {
		page := as[listJSON[endpointJSON]](t, r.do("GET", "/v1/webhook-endpoints?limit=2"+cursor, ""), 200)
		for _, e := range page.Data {
			got = append(got, e.ID)
		}
		if page.NextCursor != nil {
			cursor = "&cursor=" + *page.NextCursor
		}
	}
	if !slices.Equal(got, ids) {
		t.Errorf("got %v, want %v", got, ids)
	}
}

// A job's end is a delivery to each endpoint that wants it; disabled ones have it as
// skipped, and get it when it is replayed.
func TestRealDeliveries(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	all, failures := r.endpoint(`{"url":"https://example.com/"}`), r.endpoint(`{"url":"https://example.com/","types":["job.failed"]}`)
	path := endpointsPath + all.ID.String()
	began := time.Now().Add(-time.Second)
	job := r.ended("a", "")
	d := r.deliveries(path)
	if len(d) != 1 || d[0].Status != "pending" || d[0].Type != "job.succeeded" || d[0].JobID.String() != job || d[0].NextAttemptAt == nil || d[0].URL != nil {
		t.Fatalf("deliveries %+v", d)
	}
	if got := r.deliveries(endpointsPath + failures.ID.String()); len(got) != 0 {
		t.Errorf("the other has %+v", got)
	}
	if got := r.deliveries("/v1/jobs/" + job); len(got) != 1 || got[0].ID != d[0].ID {
		t.Errorf("the job has %+v", got)
	}
	one := as[deliveryJSON](t, r.do("GET", deliveriesPath+d[0].ID.String(), ""), 200)
	if one.ID != d[0].ID || one.Attempts == nil || len(one.Attempts) != 0 || one.EventID[:4] != "evt_" {
		t.Errorf("delivery %+v", one)
	}
	as[endpointJSON](t, r.do("PATCH", path, `{"status":"disabled"}`, asJSON()...), 200)
	r.ended("b", "")
	if d = r.deliveries(path); len(d) != 2 || d[0].Status != "skipped" || d[0].FinishedAt == nil {
		t.Fatalf("deliveries %+v", d)
	}
	replay := `{"since":"` + began.UTC().Format(time.RFC3339Nano) + `","types":["job.*"]}`
	for path, body := range map[string]string{path + "/replay": replay, path + "/test": "", deliveriesPath + d[0].ID.String() + "/redeliver": ""} {
		if a := r.do("POST", path, body, asJSON()...); a.status != 409 || !strings.Contains(a.body, "disabled") {
			t.Errorf("%s while disabled: %d %s", path, a.status, a.body)
		}
	}
	as[endpointJSON](t, r.do("PATCH", path, `{"status":"enabled"}`, asJSON()...), 200)
	started := as[replayJSON](t, r.do("POST", path+"/replay", replay, asJSON()...), 202)
	if started.Status != "running" || started.Total != 1 || !slices.Equal(started.Selects.Status, []delivery.Status{"failed", "skipped"}) {
		t.Errorf("replay %+v", started)
	}
	if got := as[listJSON[replayJSON]](t, r.do("GET", path+"/replays", ""), 200).Data; len(got) != 1 || got[0].ID != started.ID {
		t.Errorf("replays %+v", got)
	}
	cancelled := as[replayJSON](t, r.do("POST", replaysPath+started.ID.String()+"/cancel", ""), 202)
	if cancelled.Status != "cancelled" || cancelled.FinishedAt == nil {
		t.Errorf("cancelled %+v", cancelled)
	}
	if got := as[replayJSON](t, r.do("GET", replaysPath+started.ID.String(), ""), 200); encoded(t, got) != encoded(t, cancelled) {
		t.Errorf("replay %+v, want %+v", got, cancelled)
	}
	again := as[deliveryJSON](t, r.do("POST", deliveriesPath+d[0].ID.String()+"/redeliver", ""), 202)
	if again.ID != d[0].ID || again.Status != "pending" || again.Trigger != "redeliver" {
		t.Errorf("redelivered %+v", again)
	}
	tested := as[deliveryJSON](t, r.do("POST", path+"/test", ""), 202)
	if tested.Type != "endpoint.test" || tested.Trigger != "test" || tested.JobID != nil || tested.EndpointID != all.ID {
		t.Errorf("tested %+v", tested)
	}
	if got := r.deliveries(endpointsPath + failures.ID.String()); len(got) != 0 {
		t.Errorf("a test of one is sent to the other: %+v", got)
	}
}

// A job's own webhook is told beside the endpoints, once the tenant has a secret.
func TestRealWebhookOfAJob(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	const webhook = `,"webhook":{"url":"https://hooks.example.com/p/x?y=1"}`
	refused := r.do("POST", "/v1/jobs", asking("a", webhook))
	if p := refused.problem(t); refused.status != 400 || len(p.Errors) != 1 || p.Errors[0].Pointer != "/webhook" {
		t.Errorf("without a secret: %d %s", refused.status, refused.body)
	}
	if s := as[rotationJSON](t, r.do("POST", "/v1/webhook-secret/rotate", ""), 200); s.EndpointID != nil || s.PreviousUntil != nil {
		t.Errorf("the first secret %+v", s)
	}
	for url, tenant := range map[string]string{"https://hooks.example.com/other": DefaultTenant, "https://hooks.example.com/p/x": "other"} {
		a := r.do("POST", "/v1/jobs", asking("a", `,"webhook":{"url":"`+url+`"}`), "Penstock-Tenant", tenant)
		if p := a.problem(t); a.status != 400 || p.Errors[0].Pointer != "/webhook/url" {
			t.Errorf("%s of %s: %d %s", url, tenant, a.status, a.body)
		}
	}
	job := r.ended("a", webhook)
	if a := r.do("GET", "/v1/jobs/"+job, ""); !strings.Contains(a.body, `"webhook":{"url":"https://hooks.example.com/p/x?y=1"}`) {
		t.Errorf("the job does not tell of it: %s", a.body)
	}
	d := r.deliveries("/v1/jobs/" + job)
	if len(d) != 1 || d[0].URL == nil || *d[0].URL != "https://hooks.example.com/p/x?y=1" {
		t.Fatalf("deliveries %+v", d)
	}
	e := as[endpointJSON](t, r.do("GET", endpointsPath+d[0].EndpointID.String(), ""), 200)
	if !e.PerJob || e.URL != "https://hooks.example.com" || e.Status != "enabled" {
		t.Errorf("endpoint %+v", e)
	}
	path := endpointsPath + e.ID.String()
	for _, request := range []string{"DELETE ", "POST /test", "POST /rotate"} {
		method, more, _ := strings.Cut(request, " ")
		if a := r.do(method, path+more, ""); a.status != http.StatusConflict {
			t.Errorf("%s: %d %s", request, a.status, a.body)
		}
	}
	retried := r.do("POST", "/v1/jobs/"+job+"/retry", "")
	if !strings.Contains(retried.body, `"webhook":{"url":"https://hooks.example.com/p/x?y=1"}`) {
		t.Errorf("the retried job has no webhook: %s", retried.body)
	}
}

// What is another tenant's is as if it were not.
func TestRealWebhooksOfTenants(t *testing.T) {
	t.Parallel()
	r := startReal(t)
	e := r.endpoint(`{"url":"https://example.com/"}`)
	endpoint := endpointsPath + e.ID.String()
	job := r.ended("a", "")
	since := `{"since":"` + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + `"}`
	replay := as[replayJSON](t, r.do("POST", endpoint+"/replay", since, asJSON()...), 202)
	d := deliveriesPath + r.deliveries(endpoint)[0].ID.String()
	for _, request := range []struct{ method, path, body string }{
		{"GET", endpoint, ""},
		{"PATCH", endpoint, `{"status":"disabled"}`},
		{"DELETE", endpoint, ""},
		{"POST", endpoint + "/test", ""},
		{"POST", endpoint + "/rotate", ""},
		{"POST", endpoint + "/replay", since},
		{"GET", endpoint + "/replays", ""},
		{"GET", endpoint + "/deliveries", ""},
		{"GET", "/v1/jobs/" + job + "/deliveries", ""},
		{"GET", d, ""},
		{"POST", d + "/redeliver", ""},
		{"GET", replaysPath + replay.ID.String(), ""},
		{"POST", replaysPath + replay.ID.String() + "/cancel", ""},
	} {
		a := r.do(request.method, request.path, request.body, asJSON("Penstock-Tenant", "other")...)
		nobodys := strings.NewReplacer(e.ID.String(), uuid.NewString(), job, uuid.NewString(), d, deliveriesPath+uuid.NewString(),
			replay.ID.String(), uuid.NewString()).Replace(request.path)
		b := r.do(request.method, nobodys, request.body, asJSON("Penstock-Tenant", "other")...)
		if a.status != 404 || b.status != 404 || a.problem(t).Detail != b.problem(t).Detail {
			t.Errorf("%s %s: %d %s, nobody's %d %s", request.method, request.path, a.status, a.body, b.status, b.body)
		}
	}
	if got := as[listJSON[endpointJSON]](t, r.do("GET", "/v1/webhook-endpoints", "", "Penstock-Tenant", "other"), 200); len(got.Data) != 0 {
		t.Errorf("list: %+v", got)
	}
	if got := as[endpointJSON](t, r.do("GET", endpoint, ""), 200); encoded(t, got.Version) != "1" || got.Status != "enabled" {
		t.Errorf("it was changed: %+v", got)
	}
}
