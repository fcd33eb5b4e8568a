package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// hooks are Webhooks that answer what they have, and remember what they were asked.
type hooks struct {
	endpoint   delivery.Watched
	delivery   delivery.Delivery
	attempts   []delivery.Record
	replay     delivery.Replay
	rotation   delivery.Rotation
	more       bool
	err        error
	tenant     string
	change     delivery.Change
	signature  delivery.Signature
	overlap    *time.Duration
	query      delivery.Query
	selected   delivery.Replay
	asked      uuid.UUID
	beforeThat uuid.UUID
}

func (h *hooks) Create(_ context.Context, tenant string, c delivery.Change, s delivery.Signature) (delivery.Watched, delivery.Secret, error) {
	h.tenant, h.change, h.signature = tenant, c, s
	return h.endpoint, delivery.Secret{Key: "whsec_c2VjcmV0"}, h.err
}

func (h *hooks) Get(_ context.Context, tenant string, id uuid.UUID) (delivery.Watched, error) {
	h.tenant, h.asked = tenant, id
	return h.endpoint, h.err
}

func (h *hooks) List(_ context.Context, tenant string, before uuid.UUID, limit int) ([]delivery.Watched, bool, error) {
	h.tenant, h.beforeThat, h.query.Limit = tenant, before, limit
	return []delivery.Watched{h.endpoint}, h.more, h.err
}

func (h *hooks) Update(_ context.Context, tenant string, id uuid.UUID, c delivery.Change) (delivery.Watched, error) {
	h.tenant, h.asked, h.change = tenant, id, c
	return h.endpoint, h.err
}

func (h *hooks) Delete(_ context.Context, tenant string, id uuid.UUID) error {
	h.tenant, h.asked = tenant, id
	return h.err
}

func (h *hooks) Rotate(_ context.Context, tenant string, id uuid.UUID, s delivery.Signature, overlap *time.Duration) (delivery.Rotation, error) {
	h.tenant, h.asked, h.signature, h.overlap = tenant, id, s, overlap
	return h.rotation, h.err
}

func (h *hooks) RotateTenantSecret(_ context.Context, tenant string, s delivery.Signature, overlap *time.Duration) (delivery.Rotation, error) {
	h.tenant, h.signature, h.overlap = tenant, s, overlap
	return h.rotation, h.err
}

func (h *hooks) Test(_ context.Context, tenant string, id uuid.UUID) (delivery.Delivery, error) {
	h.tenant, h.asked = tenant, id
	return h.delivery, h.err
}

func (h *hooks) Deliveries(_ context.Context, q delivery.Query) ([]delivery.Delivery, bool, error) {
	h.query = q
	return []delivery.Delivery{h.delivery}, h.more, h.err
}

func (h *hooks) Delivery(_ context.Context, tenant string, id uuid.UUID) (delivery.Delivery, []delivery.Record, error) {
	h.tenant, h.asked = tenant, id
	return h.delivery, h.attempts, h.err
}

func (h *hooks) Redeliver(_ context.Context, tenant string, id uuid.UUID) (delivery.Delivery, error) {
	h.tenant, h.asked = tenant, id
	return h.delivery, h.err
}

func (h *hooks) StartReplay(_ context.Context, r delivery.Replay) (delivery.Replay, error) {
	h.selected = r
	return h.replay, h.err
}

func (h *hooks) Replay(_ context.Context, tenant string, id uuid.UUID) (delivery.Replay, error) {
	h.tenant, h.asked = tenant, id
	return h.replay, h.err
}

func (h *hooks) Replays(_ context.Context, tenant string, id uuid.UUID) ([]delivery.Replay, error) {
	h.tenant, h.asked = tenant, id
	return []delivery.Replay{h.replay}, h.err
}

func (h *hooks) CancelReplay(_ context.Context, tenant string, id uuid.UUID) (delivery.Replay, error) {
	h.tenant, h.asked = tenant, id
	return h.replay, h.err
}

const (
	someEndpoint = "0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d18"
	someDelivery = "0199f1a2-8a10-8c5e-b1d2-7e6f5a4b3c2d"
	someEvent    = "0199f1a2-8a10-7c5e-9e4a-1b2c3d4e5f60"
	someReplay   = "0199f1a2-7c3e-7d4b-9a51-3f0c8e6b2d19"
	somePublic   = "whpk_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

	endpointPath = endpointsPath + someEndpoint
)

// working are hooks of which there is one of each.
func working() *hooks {
	return &hooks{
		endpoint: delivery.Watched{Endpoint: delivery.Endpoint{
			ID: uuid.MustParse(someEndpoint), URL: "https://example.com/hooks", Version: 1, CreatedAt: noon, ChangedAt: noon,
		}},
		delivery: delivery.Delivery{
			ID: uuid.MustParse(someDelivery), Endpoint: uuid.MustParse(someEndpoint), Event: uuid.MustParse(someEvent),
			Type: delivery.EndpointTest, Status: delivery.StatusPending, Trigger: delivery.TriggerTest, DueAt: noon, CreatedAt: noon,
		},
		replay: delivery.Replay{
			ID: uuid.MustParse(someReplay), Endpoint: uuid.MustParse(someEndpoint), Since: noon.Add(-time.Hour), Until: noon,
			Statuses: []delivery.Status{delivery.StatusFailed}, Status: delivery.ReplayRunning, Total: 3, CreatedAt: noon,
		},
		rotation: delivery.Rotation{Secret: delivery.Secret{Key: "whsec_c2VjcmV0", CreatedAt: noon}},
	}
}

// asJSON are the headers of a request with a body.
func asJSON(more ...string) []string {
	return append([]string{"Content-Type", "application/json"}, more...)
}

func TestEndpointJSON(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(time.Hour).UTC().Truncate(time.Second)
	full := working()
	full.endpoint = delivery.Watched{
		Endpoint: delivery.Endpoint{
			ID: uuid.MustParse(someEndpoint), URL: "https://example.com/?a=1&b=2", Description: "orders", Types: []string{"job.*"},
			Metadata: map[string]string{"team": "a"}, Timeout: 90 * time.Second, PerMinute: 600, Concurrency: 20,
			Schedule: delivery.Schedule{0, 1500 * time.Millisecond}, Header: map[string]string{"X-A": "b"}, IncludeResult: true,
			Disabled: delivery.DisabledGone, PerJob: true, Version: 7, CreatedAt: noon.In(time.FixedZone("", 3600)), ChangedAt: noon.Add(time.Hour),
		},
		State: delivery.State{
			PausedUntil: soon, OpenUntil: soon.Add(time.Minute), Failures: 4, FailingSince: noon, LastSuccess: noon.Add(-time.Hour),
			Latency: 1234567 * time.Microsecond, Slow: true,
		},
		PublicKey: somePublic,
	}
	const schedule = `["0s","5s","30s","2m0s","10m0s","30m0s","2h0m0s","5h0m0s","10h0m0s","14h0m0s","20h0m0s","24h0m0s"]`
	for name, c := range map[string]struct {
		hooks *hooks
		want  string
	}{
		"least": {working(), `{"id":"` + someEndpoint + `","object":"webhook_endpoint","url":"https://example.com/hooks","description":null,` +
			`"types":[],"metadata":{},"timeout":"15s","per_minute":null,"concurrency":10,"schedule":` + schedule + `,"headers":{},` +
			`"include_result":false,"signature":"v1","public_key":null,"secret":null,"per_job":false,"status":"enabled","disabled_reason":null,` +
			`"health":{"consecutive_failures":0,"failing_since":null,"last_success_at":null,"paused_until":null,` +
			`"breaker":{"state":"closed","open_until":null},"latency_ms":null,"slow":false},` +
			`"version":1,"created_at":"2030-01-31T12:00:00Z","changed_at":"2030-01-31T12:00:00Z"}`},
		"most": {full, `{"id":"` + someEndpoint + `","object":"webhook_endpoint","url":"https://example.com/?a=1&b=2","description":"orders",` +
			`"types":["job.*"],"metadata":{"team":"a"},"timeout":"1m30s","per_minute":600,"concurrency":20,"schedule":["0s","1.5s"],"headers":{"X-A":"b"},` +
			`"include_result":true,"signature":"v1a","public_key":"` + somePublic + `","secret":null,"per_job":true,"status":"disabled","disabled_reason":"gone",` +
			`"health":{"consecutive_failures":4,"failing_since":"2030-01-31T12:00:00Z","last_success_at":"2030-01-31T11:00:00Z","paused_until":"` +
			soon.Format(time.RFC3339) + `","breaker":{"state":"open","open_until":"` + soon.Add(time.Minute).Format(time.RFC3339) +
			`"},"latency_ms":1234,"slow":true},"version":7,"created_at":"2030-01-31T12:00:00Z","changed_at":"2030-01-31T13:00:00Z"}`},
	} {
		h := start(t, Config{Webhooks: c.hooks})
		if a := h.do("GET", endpointPath, ""); a.status != 200 || a.body != c.want+"\n" {
			t.Errorf("%s: %d\ngot  %s\nwant %s", name, a.status, a.body, c.want)
		}
		if c.hooks.asked.String() != someEndpoint || c.hooks.tenant != DefaultTenant {
			t.Errorf("asked for %s of %s", c.hooks.asked, c.hooks.tenant)
		}
	}
}

func TestBreakersOfEndpoints(t *testing.T) {
	t.Parallel()
	before, after := noon.Add(-time.Second), noon.Add(time.Second)
	for want, s := range map[string]delivery.State{
		"closed": {}, "open": {OpenUntil: after}, "probing": {OpenUntil: before, PausedUntil: before}, "recovering": {RampSince: before},
	} {
		got := encodeHealth(s, noon)
		if got.Breaker.State != want || (got.Breaker.OpenUntil != nil) != (want == "open") || got.PausedUntil != nil {
			t.Errorf("%+v: got %+v, want %s", s, got, want)
		}
	}
}

func TestCreateEndpoint(t *testing.T) {
	t.Parallel()
	hooks := working()
	h := start(t, Config{Webhooks: hooks})
	got := h.do("POST", "/v1/webhook-endpoints", `{"url":"https://example.com/","description":"d","types":["job.*"],"metadata":{"a":"b"},
		"timeout":"10s","per_minute":60,"concurrency":5,"schedule":["0s","1m"],"headers":{"X-A":"b"},"include_result":true,
		"status":"disabled","signature":"v1a"}`, asJSON()...)
	if got.status != 201 || got.header.Get("Location") != endpointPath || got.header.Get("Cache-Control") != "no-store" ||
		!strings.Contains(got.body, `"secret":"whsec_c2VjcmV0"`) {
		t.Errorf("got %d %v %s", got.status, got.header, got.body)
	}
	want := delivery.Change{
		URL: new("https://example.com/"), Description: new("d"), Types: &[]string{"job.*"}, Metadata: &map[string]string{"a": "b"},
		Timeout: new(10 * time.Second), PerMinute: new(60), Concurrency: new(5), Schedule: &delivery.Schedule{0, time.Minute},
		Header: &map[string]string{"X-A": "b"}, IncludeResult: new(true), Disabled: new(true),
	}
	if !reflect.DeepEqual(hooks.change, want) || hooks.signature != "v1a" || hooks.tenant != DefaultTenant {
		t.Errorf("asked for %+v, signature %q", hooks.change, hooks.signature)
	}
}

// What is not said stays, and null is what an endpoint has if nothing is said.
func TestUpdateEndpoint(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]delivery.Change{
		`{}`:                      {},
		`{"status":"enabled"}`:    {Disabled: new(false)},
		`{"include_result":null}`: {IncludeResult: new(false)},
		`{"description":null,"types":null,"metadata":null,"timeout":null,"per_minute":null,"concurrency":null,"schedule":null,"headers":null,"status":null}`: {
			Description: new(""), Types: &[]string{}, Metadata: &map[string]string{}, Timeout: new(time.Duration), PerMinute: new(0),
			Concurrency: new(0), Schedule: &delivery.Schedule{}, Header: &map[string]string{}, Disabled: new(false),
		},
	} {
		hooks := working()
		h := start(t, Config{Webhooks: hooks})
		got := h.do("PATCH", endpointPath, body, asJSON()...)
		if got.status != 200 || !reflect.DeepEqual(hooks.change, want) || hooks.asked.String() != someEndpoint {
			t.Errorf("%s: %d %s, asked for %+v, want %+v", body, got.status, got.body, hooks.change, want)
		}
	}
}

// All that is wrong is named at once, whether the decoder finds it or the service.
func TestEndpointsThatAreWrong(t *testing.T) {
	t.Parallel()
	refusing := working()
	refusing.err = errors.Join(jobs.Invalid("/url", "is not public"), errors.Join(jobs.Invalid("/timeout", "is 1h0m0s"), jobs.Invalid("/types/1", "is no type")))
	for _, c := range []struct {
		hooks          *hooks
		body, pointers string
	}{
		{refusing, `{"url":"https://10.0.0.1"}`, "/url /timeout /types/1"},
		{
			nil, `{"url":5,"description":[],"types":{},"metadata":{"a":null},"timeout":10,"per_minute":1.5,"concurrency":"x","schedule":["5"],` +
				`"headers":[],"include_result":1,"status":"on","signature":1,"name":"x"}`,
			"/concurrency /description /headers /include_result /metadata/a /name /per_minute /schedule/0 /signature /status /timeout /types /url",
		},
		{
			nil, `{"url":"x","timeout":"0s","per_minute":0,"concurrency":0,"types":["a",null],"schedule":"1s","url ":1}`,
			"/concurrency /per_minute /schedule /timeout /types/1 /url ",
		},
		{nil, `[]`, ""},
		{nil, `{"url":"a","url":"b"}`, "/url"},
	} {
		if c.hooks == nil {
			c.hooks = working()
		}
		h := start(t, Config{Webhooks: c.hooks})
		got := h.do("POST", "/v1/webhook-endpoints", c.body, asJSON()...)
		p := got.problem(t)
		var pointers []string
		for _, e := range p.Errors {
			pointers = append(pointers, e.Pointer)
		}
		if got.status != 400 || p.Code != jobs.CodeInvalidField || strings.Join(pointers, " ") != c.pointers {
			t.Errorf("%s\n got %d %v, want %s", c.body, got.status, pointers, c.pointers)
		}
	}
}

// What is wrong with a field is not the answer when something else is, too.
func TestAStoreThatIsAwayIsNoWrongField(t *testing.T) {
	t.Parallel()
	hooks := working()
	hooks.err = errors.Join(jobs.Unavailable(errors.New("secret")), jobs.Invalid("/url", "is not public"))
	h := start(t, Config{Webhooks: hooks})
	if got := h.do("PATCH", endpointPath, `{}`, asJSON()...); got.status != 503 || strings.Contains(got.body, "secret") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}

func TestListEndpoints(t *testing.T) {
	t.Parallel()
	hooks := working()
	hooks.more = true
	h := start(t, Config{Webhooks: hooks, TrustTenantHeader: true})
	var page listJSON[endpointJSON]
	got := h.do("GET", "/v1/webhook-endpoints?limit=1", "", "Penstock-Tenant", "acme")
	if err := json.Unmarshal([]byte(got.body), &page); err != nil || len(page.Data) != 1 || !page.HasMore || page.NextCursor == nil {
		t.Fatalf("got %d %s", got.status, got.body)
	}
	if hooks.tenant != "acme" || hooks.query.Limit != 1 || hooks.beforeThat != uuid.Nil {
		t.Errorf("asked for %d of %s after %s", hooks.query.Limit, hooks.tenant, hooks.beforeThat)
	}
	hooks.more = false
	if got = h.do("GET", "/v1/webhook-endpoints?cursor="+*page.NextCursor, ""); got.status != 200 || hooks.beforeThat.String() != someEndpoint {
		t.Errorf("the next page: got %d, asked for what is after %s", got.status, hooks.beforeThat)
	}
}

func TestRotateSecrets(t *testing.T) {
	t.Parallel()
	for _, path := range []string{endpointPath + "/rotate", "/v1/webhook-secret/rotate"} {
		hooks := working()
		h := start(t, Config{Webhooks: hooks})
		got := h.do("POST", path, "")
		endpoint := `"` + someEndpoint + `"`
		if path == "/v1/webhook-secret/rotate" {
			endpoint = "null"
		}
		want := `{"object":"webhook_secret","endpoint_id":` + endpoint + `,"secret":"whsec_c2VjcmV0","signature":"v1","public_key":null,` +
			`"previous_until":null,"created_at":"2030-01-31T12:00:00Z"}`
		if got.status != 200 || got.body != want+"\n" || got.header.Get("Cache-Control") != "no-store" || hooks.overlap != nil || hooks.signature != "" {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
		hooks.rotation.PublicKey, hooks.rotation.PreviousUntil = somePublic, noon
		got = h.do("POST", path, `{"overlap":"0s","signature":"v1a"}`, asJSON()...)
		if got.status != 200 || !strings.Contains(got.body, `"signature":"v1a","public_key":"`+somePublic+`","previous_until":"2030-01-31T12:00:00Z"`) ||
			hooks.overlap == nil || *hooks.overlap != 0 || hooks.signature != "v1a" {
			t.Errorf("%s: got %d %s, asked for %v, %s", path, got.status, got.body, hooks.overlap, hooks.signature)
		}
	}
}

// Each operation of webhooks gives each answer that the document has.
func webhookAnswers(t *testing.T) map[string]bool {
	t.Helper()
	defect, away := errors.New("a defect"), jobs.Unavailable(errors.New("connection refused"))
	missing := &jobs.Error{Code: jobs.CodeNotFound, Message: noEndpoint}
	taken, sealed := &jobs.Error{Code: jobs.CodeConflict, Message: "no"}, &jobs.Error{Code: jobs.CodeSecretKeyMissing, Message: "no"}
	seen := map[string]bool{}
	for _, op := range []struct {
		method, path, body string
		granted            int
		// one says that there may be none of it, bodied that a body is read, refused that
		// its state may be wrong for this.
		one, bodied, refused bool
	}{
		{"POST", "/v1/webhook-endpoints", `{"url":"https://example.com/"}`, 201, false, true, true},
		{"GET", "/v1/webhook-endpoints", "", 200, false, false, false},
		{"GET", endpointPath, "", 200, true, false, false},
		{"PATCH", endpointPath, `{}`, 200, true, true, true},
		{"DELETE", endpointPath, "", 204, true, false, true},
		{"POST", endpointPath + "/test", "", 202, true, false, true},
		{"POST", endpointPath + "/rotate", `{}`, 200, true, true, true},
		{"POST", endpointPath + "/replay", `{"since":"2030-01-31T12:00:00Z"}`, 202, true, true, true},
		{"GET", endpointPath + "/replays", "", 200, true, false, false},
		{"GET", endpointPath + "/deliveries", "", 200, true, false, false},
		{"GET", jobPath + "/deliveries", "", 200, true, false, false},
		{"GET", deliveriesPath + someDelivery, "", 200, true, false, false},
		{"POST", deliveriesPath + someDelivery + "/redeliver", "", 202, true, false, true},
		{"GET", replaysPath + someReplay, "", 200, true, false, false},
		{"POST", replaysPath + someReplay + "/cancel", "", 202, true, false, false},
		{"POST", "/v1/webhook-secret/rotate", "", 200, false, true, true},
	} {
		try := func(want int, change func(c *Config, hooks *hooks), path, body string) {
			t.Helper()
			hooks := working()
			cfg := Config{Webhooks: hooks, Service: granting()}
			change(&cfg, hooks)
			h := start(t, cfg)
			headers := []string{}
			if body != "" {
				headers = asJSON()
			}
			got := h.do(op.method, path, body, headers...)
			if got.status != want {
				t.Errorf("%s %s: got %d, want %d\n%s", op.method, path, got.status, want, got.body)
			}
			maps.Copy(seen, h.contract.seen)
		}
		fails := func(err error) func(*Config, *hooks) { return func(_ *Config, hooks *hooks) { hooks.err = err } }
		asItIs := func(*Config, *hooks) {}
		try(op.granted, asItIs, op.path, op.body)
		try(400, asItIs, op.path+"?odd=1", op.body)
		try(403, func(c *Config, _ *hooks) { c.Hosts = []string{"another"} }, op.path, op.body)
		try(500, fails(defect), op.path, op.body)
		try(503, fails(away), op.path, op.body)
		if op.one {
			try(404, fails(missing), op.path, op.body)
			try(404, asItIs, strings.NewReplacer(someEndpoint, "x", someDelivery, "x", someReplay, "x", someID, "x").Replace(op.path), op.body)
		}
		if op.refused {
			try(409, fails(taken), op.path, op.body)
			try(409, fails(sealed), op.path, op.body)
		}
		if op.method != "GET" {
			try(413, asItIs, op.path, strings.Repeat(" ", maxFields+1)+"{}")
		}
		if op.bodied {
			try(429, func(c *Config, _ *hooks) { c.MaxBodies = 1 }, op.path, `{"url":"https://example.com/"}`)
		}
	}
	return seen
}

// A key is refused where it would not be heeded: another secret, another event.
func TestWebhooksHaveNoIdempotencyKeys(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Webhooks: working()})
	for path, body := range map[string]string{
		"/v1/webhook-endpoints": `{"url":"https://example.com/"}`, endpointPath + "/rotate": "", endpointPath + "/test": "",
		endpointPath + "/replay": `{"since":"2030-01-31T12:00:00Z"}`, deliveriesPath + someDelivery + "/redeliver": "",
		"/v1/webhook-secret/rotate": "",
	} {
		if got := h.do("POST", path, body, asJSON("Idempotency-Key", "k")...); got.status != http.StatusBadRequest || !strings.Contains(got.body, "Idempotency-Key") {
			t.Errorf("%s: got %d %s", path, got.status, got.body)
		}
	}
}

func TestTheLogNamesWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	h := start(t, Config{Webhooks: working()})
	h.do("POST", endpointPath+"/test", "")
	if line := h.lines()[0]; line["webhook"] != someDelivery || line["route"] != "/v1/webhook-endpoints/:id/test" {
		t.Errorf("got %v", line)
	}
	if strings.Contains(h.log.String(), "example.com") {
		t.Error("the log has an endpoint's URL")
	}
}
