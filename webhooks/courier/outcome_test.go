package courier

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func TestWhatAnAttemptMeansForItsDelivery(t *testing.T) {
	t.Parallel()
	due := noon.Add(-time.Minute)
	schedule := delivery.Schedule{0, time.Minute}
	large, thin := `{"data":{"id":"a","result":"b"}}`, `{"data":{"id":"a"}}`
	paused := delivery.Attempt{Verdict: delivery.Paused, Status: 429, RetryAfter: time.Hour}
	tooLarge := delivery.Attempt{Verdict: delivery.TooLarge, Status: 413}
	for name, c := range map[string]struct {
		attempt  delivery.Attempt
		n, step  int
		body     string
		thin     bool
		free     bool
		status   delivery.Status
		want     int
		due      time.Time
		thinNext bool
	}{
		"delivered":                    {good, 1, 0, thin, false, false, delivery.StatusDelivered, 0, due, false},
		"failed":                       {bad, 1, 0, thin, false, false, delivery.StatusPending, 1, noon.Add(time.Minute), false},
		"failed for the last time":     {bad, 2, 1, thin, false, false, delivery.StatusFailed, 2, time.Time{}, false},
		"failed with the breaker open": {bad, 9, 1, thin, false, true, delivery.StatusPending, 1, due, false},
		"paused":                       {paused, 2, 1, thin, false, false, delivery.StatusPending, 1, noon.Add(time.Hour), false},
		"paused time and again":        {paused, 102, 1, thin, false, false, delivery.StatusFailed, 2, time.Time{}, false},
		"too large":                    {tooLarge, 1, 0, large, false, false, delivery.StatusPending, 0, due, true},
		"too large and thin":           {tooLarge, 2, 0, thin, true, false, delivery.StatusPending, 1, noon.Add(time.Minute), true},
		"too large with no result":     {tooLarge, 2, 0, thin, false, false, delivery.StatusPending, 1, noon.Add(time.Minute), false},
		"gone":                         {delivery.Attempt{Verdict: delivery.Gone, Status: 410}, 1, 0, thin, false, false, delivery.StatusPending, 0, due, false},
	} {
		e := attempt(1, c.n, c.attempt)
		e.Step, e.DueAt, e.Thin, e.send = c.step, due, c.thin, []byte(c.body)
		e.Tenant, e.Endpoint, e.Trigger = "acme", uuid.UUID{7}, delivery.TriggerReplay
		got := recordOf(settle(e), schedule, c.free, noon)
		if got.Delivery != e.ID || got.Endpoint != e.Endpoint || got.Tenant != "acme" || got.Trigger != e.Trigger || got.N != c.n || got.At != noon {
			t.Errorf("%s: got %+v, which is of another attempt", name, got)
		}
		late := got.DueAt.Sub(c.due)
		if got.Status != c.status || got.Step != c.want || got.Thin != c.thinNext || late < 0 || late > 12*time.Second {
			t.Errorf("%s: got %s at step %d, thin %t, due %v; want %+v", name, got.Status, got.Step, got.Thin, got.DueAt, c)
		}
	}
	if s, _ := next(nil, 11, noon); s != delivery.StatusPending {
		t.Errorf("an endpoint without a schedule: %s after eleven attempts, want the default one", s)
	}
}

func TestWhatIsSentIsThinOnceItWasTooLarge(t *testing.T) {
	t.Parallel()
	d := delivery.Due{Body: []byte(`{"data":{"id":"a","result":"b"}}`)}
	if got := sent(d); string(got) != string(d.Body) {
		t.Errorf("sends %s", got)
	}
	d.Thin = true
	if got := string(sent(d)); strings.Contains(got, `"result"`) || !strings.Contains(got, `"result_omitted":true`) {
		t.Errorf("sends %s, want it without the result", got)
	}
}
