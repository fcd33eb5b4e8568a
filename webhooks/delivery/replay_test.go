package delivery_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func TestStartReplay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	w := r.create(t)
	since := time.Now().Add(-time.Hour).UTC()
	got, err := r.service.StartReplay(t.Context(), delivery.Replay{
		Tenant: "acme", Endpoint: w.ID, Since: since, Until: time.Now().Add(time.Hour), Types: []string{"job.*", "lane.opened"},
	})
	if err != nil || r.changes != 1 {
		t.Fatalf("got %v, told %d times", err, r.changes)
	}
	if got.ID == uuid.Nil || got.Status != delivery.ReplayRunning || !got.Since.Equal(since) || got.Until.After(time.Now()) {
		t.Errorf("got %+v", got)
	}
	if want := []delivery.Status{"failed", "skipped"}; !slices.Equal(got.Statuses, want) {
		t.Errorf("statuses %v, want %v", got.Statuses, want)
	}
	if want := []string{"job.succeeded", "job.failed", "job.cancelled", "job.expired", "lane.opened"}; !slices.Equal(got.Types, want) {
		t.Errorf("types %v, want %v", got.Types, want)
	}
	often := delivery.Replay{Tenant: "acme", Endpoint: w.ID, Since: since, Statuses: []delivery.Status{"skipped", "failed", "skipped"}}
	if got, err := r.service.StartReplay(t.Context(), often); err != nil || !slices.Equal(got.Statuses, []delivery.Status{"failed", "skipped"}) {
		t.Errorf("statuses that were said twice: got %v, %v", got.Statuses, err)
	}
	for _, c := range []struct {
		replay   delivery.Replay
		pointers []string
	}{
		{delivery.Replay{Statuses: []delivery.Status{"failed", "pending"}, Types: []string{"x"}}, []string{"/since", "/status/1", "/types/0"}},
		{delivery.Replay{Since: since.Add(2 * time.Hour)}, []string{"/since"}},
		{delivery.Replay{Since: since, Until: since}, []string{"/until"}},
	} {
		c.replay.Tenant, c.replay.Endpoint = "acme", w.ID
		if _, pointers := code(second(r.service.StartReplay(t.Context(), c.replay))); !slices.Equal(pointers, c.pointers) {
			t.Errorf("%+v: got %v, want %v", c.replay, pointers, c.pointers)
		}
	}
	if of, _ := code(second(r.service.StartReplay(t.Context(), delivery.Replay{Tenant: "other", Endpoint: w.ID, Since: since}))); of != jobs.CodeNotFound {
		t.Errorf("another tenant: got %s", of)
	}
	r.endpoint.Disabled = delivery.DisabledGone
	if of, _ := code(second(r.service.StartReplay(t.Context(), delivery.Replay{Tenant: "acme", Endpoint: w.ID, Since: since}))); of != jobs.CodeConflict {
		t.Errorf("disabled: got %s", of)
	}
}
