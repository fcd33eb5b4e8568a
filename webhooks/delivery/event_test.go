package delivery_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func body(t *testing.T, result string) []byte {
	t.Helper()
	id := uuid.MustParse("01900000-0000-7000-8000-000000000001")
	job := delivery.Job{ID: id, Object: "job", Status: "succeeded", ResultURL: "https://penstock.example.com/v1/jobs/1"}
	if result != "" {
		job = job.WithResult(json.RawMessage(result))
	}
	b, err := json.Marshal(delivery.NewEnvelope(id, delivery.JobSucceeded, time.Unix(0, 0), job))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABodyIsThinUnlessItsResultFits(t *testing.T) {
	t.Parallel()
	if b := string(body(t, "")); strings.Contains(b, `"result"`) || strings.Contains(b, "result_omitted") ||
		!strings.HasPrefix(b, `{"id":"evt_01900000-0000-7000-8000-000000000001","object":"event","type":"job.succeeded","created_at":"1970-01-01T00:00:00Z"`) {
		t.Errorf("thin: %s", b)
	}
	largest := `"` + strings.Repeat("x", delivery.MaxResult-2) + `"`
	if b := string(body(t, largest)); !strings.Contains(b, `"result":"xx`) || strings.Contains(b, "result_omitted") {
		t.Error("the largest result was left out")
	}
	if b := string(body(t, largest+" ")); strings.Contains(b, `"result"`) || !strings.Contains(b, `"result_omitted":true`) {
		t.Error("a larger result was put in, or nothing says that it was not")
	}
}

func TestThinLeavesTheResultOut(t *testing.T) {
	t.Parallel()
	thin, ok, err := delivery.Thin(body(t, `{"choices":[]}`))
	if err != nil || !ok {
		t.Fatalf("got %t, %v", ok, err)
	}
	var got, want map[string]any
	if err := json.Unmarshal(thin, &got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body(t, ""), &want); err != nil {
		t.Fatal(err)
	}
	data, _ := want["data"].(map[string]any)
	data["result_omitted"] = true
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(want)
	if string(a) != string(b) {
		t.Errorf("got %s, want %s", a, b)
	}
	if _, ok, err := delivery.Thin(body(t, "")); ok || err != nil {
		t.Errorf("a thin body: got %t, %v, want that it cannot be made smaller", ok, err)
	}
	for _, bad := range []string{"", "[]", `{"id":1}`, `{"id":"a"}`} {
		if _, _, err := delivery.Thin([]byte(bad)); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestAnEventIDHasTheTimeOfItsEvent(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 345_678_000, time.UTC)
	id, err := delivery.NewEventID(at)
	if err != nil {
		t.Fatal(err)
	}
	other, err := delivery.NewEventID(at)
	if err != nil {
		t.Fatal(err)
	}
	if sec, nsec := id.Time().UnixTime(); id.Version() != 7 || id.Variant() != uuid.RFC4122 || id == other ||
		!time.Unix(sec, nsec).Equal(at.Truncate(time.Millisecond)) {
		t.Errorf("ids %s, %s: got time %v, want version 7 of %v, twice", id, other, time.Unix(sec, nsec).UTC(), at)
	}
	if a, b := delivery.IDOf(id, uuid.New()), delivery.IDOf(other, uuid.New()); [6]byte(a[:6]) != [6]byte(id[:6]) || a == b {
		t.Errorf("deliveries of %s: got %s and %s", id, a, b)
	}
}

// What OpenAI's clients unwrap has its time in seconds, and is as small as it gets.
func TestWhatIsToldAsOpenAIDoesHasItsTimeInSeconds(t *testing.T) {
	t.Parallel()
	id, at := uuid.MustParse("01900000-0000-7000-8000-000000000001"), time.Unix(1, 999_999_999)
	for _, eventType := range delivery.Types() {
		want := `"1970-01-01T00:00:01.999999999Z"`
		if kind, _, _ := strings.Cut(eventType, "."); kind == "batch" || kind == "response" {
			want = `1`
		}
		want = `{"id":"evt_01900000-0000-7000-8000-000000000001","object":"event","type":"` + eventType + `","created_at":` + want +
			`,"data":{"id":"resp_01900000000070008000000000000001"}}`
		got, err := json.Marshal(delivery.NewEnvelope(id, eventType, at, delivery.NewResponse(id)))
		if err != nil || string(got) != want {
			t.Errorf("got %s, error %v, want %s", got, err, want)
		}
		if _, ok, err := delivery.Thin(got); ok || err != nil {
			t.Errorf("%s: got %t, %v, want that it cannot be made smaller", got, ok, err)
		}
	}
}
