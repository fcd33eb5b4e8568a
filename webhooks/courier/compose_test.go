package courier

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func bodyOf(t *testing.T, change func(*jobs.Job), result bool) (string, map[string]any) {
	t.Helper()
	usd := 3 * jobs.Dollar / 2
	j := jobs.Job{
		ID: uuid.MustParse("01900000-0000-7000-8000-000000000001"), Tenant: "acme", Status: jobs.StatusSucceeded,
		Endpoint: "/v1/chat/completions", Model: "default", CreatedAt: noon, FinishedAt: noon.Add(time.Minute),
		Usage: providers.Usage{Known: true, InputTokens: 7}, CostUSD: &usd, Metadata: map[string]string{"k": "<v>"},
		Result: json.RawMessage(`{"choices":["<&>"]}`),
	}
	if change != nil {
		change(&j)
	}
	retention := jobs.Retention{Default: 48 * time.Hour, Tenants: map[string]time.Duration{"brief": time.Hour}}
	c := newComposer("https://penstock.example.com/", retention)
	d := delivery.Due{Delivery: delivery.Delivery{Event: uuid.UUID{9}, Type: delivery.JobSucceeded, CreatedAt: noon.Add(time.Minute)}}
	body, err := c.ended(d, j, result)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Data map[string]any `json:"data"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		t.Fatal(err)
	}
	return string(body), e.Data
}

func TestABodyTellsOfItsJob(t *testing.T) {
	t.Parallel()
	got, _ := bodyOf(t, nil, false)
	want := `{"id":"evt_09000000-0000-0000-0000-000000000000","object":"event","type":"job.succeeded","created_at":"2026-03-01T12:01:00Z",` +
		`"data":{"id":"01900000-0000-7000-8000-000000000001","object":"job","status":"succeeded","endpoint":"/v1/chat/completions",` +
		`"model":"default","usage":{"input_tokens":7,"output_tokens":0,"cached_tokens":0,"reasoning_tokens":0},"cost_usd":1.5,` +
		`"metadata":{"k":"<v>"},"error":null,"created_at":"2026-03-01T12:00:00Z","finished_at":"2026-03-01T12:01:00Z",` +
		`"result_url":"https://penstock.example.com/v1/jobs/01900000-0000-7000-8000-000000000001","result_expires_at":"2026-03-03T12:00:00Z"}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestWhatIsNotKnownOfAJobIsNull(t *testing.T) {
	t.Parallel()
	got, data := bodyOf(t, func(j *jobs.Job) {
		j.Usage, j.CostUSD, j.Metadata, j.Result = providers.Usage{}, nil, nil, nil
		j.Status, j.Error = jobs.StatusExpired, &jobs.JobError{Code: "expired", Message: "its time was up"}
	}, true)
	for _, want := range []string{`"usage":null`, `"cost_usd":null`, `"metadata":{}`, `"error":{"code":"expired","message":"its time was up"}`} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s, want %s in it", got, want)
		}
	}
	if _, ok := data["result_omitted"]; ok || data["result"] != nil {
		t.Error("a job that expired has a result")
	}
}

func TestAResultIsSentIfItIsWantedAndMayBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*jobs.Job)
		omitted bool
	}{
		"fits":       {nil, false},
		"too large":  {func(j *jobs.Job) { j.Result = json.RawMessage(`"` + strings.Repeat("x", delivery.MaxResult) + `"`) }, true},
		"ephemeral":  {func(j *jobs.Job) { j.Ephemeral = true }, true},
		"dropped":    {func(j *jobs.Job) { j.Result, j.Error = nil, &jobs.JobError{Code: jobs.CodeDropped} }, true},
		"unreadable": {func(j *jobs.Job) { j.Result, j.Error = nil, &jobs.JobError{Code: jobs.CodeUnreadable} }, true},
		"no JSON":    {func(j *jobs.Job) { j.Result = json.RawMessage(`{"choices":`) }, true},
	} {
		_, data := bodyOf(t, c.change, true)
		if got := data["result_omitted"] == true; got != c.omitted || (data["result"] == nil) != c.omitted || data["error"] != nil {
			t.Errorf("%s: got %v, want omitted %t", name, data, c.omitted)
		}
	}
	if got, _ := bodyOf(t, nil, true); !strings.Contains(got, `"result":{"choices":["<&>"]}`) {
		t.Errorf("got %s, want the result as it is", got)
	}
}

func TestABodySaysUntilWhenTheAnswerIsThere(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*jobs.Job)
		want   any
	}{
		"default":   {nil, "2026-03-03T12:00:00Z"},
		"tenant's":  {func(j *jobs.Job) { j.Tenant = "brief" }, "2026-03-01T13:00:00Z"},
		"ephemeral": {func(j *jobs.Job) { j.Ephemeral = true }, "2026-03-01T13:01:00Z"},
	} {
		if _, data := bodyOf(t, c.change, false); data["result_expires_at"] != c.want {
			t.Errorf("%s: got %v, want %v", name, data["result_expires_at"], c.want)
		}
	}
	if got := newComposer("x", jobs.Retention{}).expiry(jobs.Job{}); got != nil {
		t.Errorf("kept for ever: got %v", got)
	}
}

func TestAnEventOfNoJobTellsItsData(t *testing.T) {
	t.Parallel()
	d := delivery.Due{Delivery: delivery.Delivery{Event: uuid.UUID{9}, Type: delivery.LaneOpened, CreatedAt: noon}, Data: json.RawMessage(`{"a":1}`)}
	got, err := newComposer("x", jobs.Retention{}).told(d)
	want := `{"id":"evt_09000000-0000-0000-0000-000000000000","object":"event","type":"lane.opened","created_at":"2026-03-01T12:00:00Z","data":{"a":1}}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}

// OpenAI's clients ask for the response by its id: nothing else is told of it, whatever
// the endpoint wants to be sent along.
func TestAnEventOfAResponseHasItsIDAlone(t *testing.T) {
	t.Parallel()
	j := jobs.Job{
		ID: uuid.MustParse("01900000-0000-7000-8000-000000000001"), Status: jobs.StatusSucceeded, Result: json.RawMessage(`{}`),
		Metadata: map[string]string{"k": "v"},
	}
	d := delivery.Due{Delivery: delivery.Delivery{Event: uuid.UUID{9}, Type: delivery.ResponseIncomplete, CreatedAt: noon, Job: j.ID}}
	got, err := newComposer("x", jobs.Retention{}).ended(d, j, true)
	want := `{"id":"evt_09000000-0000-0000-0000-000000000000","object":"event","type":"response.incomplete","created_at":1772366400,` +
		`"data":{"id":"resp_01900000000070008000000000000001"}}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}
