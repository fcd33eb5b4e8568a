package storagetest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// RunPiles checks what every [delivery.Store] does with thousands of rows, each rule in
// parallel on a fresh store: see [RunWebhooks]. It takes seconds, and many with the race
// detector, which sees nothing in it that it does not see with a few.
func RunPiles(t *testing.T, open func(t *testing.T) WebhookStore) {
	t.Helper()
	runHookRules(t, []hookRule{
		{"an end that is kept tells many at once", endTellsMany},
		{"however many a replay sends, few are pending at a time", replayOfMany},
	}, open)
}

func endTellsMany(f *hookFixture) {
	const many = 2500 // more than one transaction ends
	e := f.endpoint()
	f.crowd(many)
	seen := map[uuid.UUID]bool{}
	for q := (delivery.Query{Tenant: tenant, Endpoint: e.ID, Limit: 1000}); ; {
		list, err := f.hooks.Deliveries(f.t.Context(), q)
		f.must(err, "list deliveries")
		if len(list) == 0 {
			break
		}
		for _, d := range list {
			seen[d.Job] = true
		}
		q.Before = list[len(list)-1].ID
	}
	equal(f.fixture, len(seen), many, "jobs that were told of")
}

func replayOfMany(f *hookFixture) {
	const many = 6_000
	e := f.endpoint(disabled)
	f.crowd(many)
	f.update(e, func(e *delivery.Endpoint) { e.Disabled = "" })
	r := f.replay(e, nil)
	equal(f.fixture, r.Total, many, "total")
	sent, last := map[uuid.UUID]bool{}, uuid.Nil
	for pending := 0; len(sent) < many; {
		pending += f.sweep(f.at(time.Hour))
		if pending == 0 || pending > delivery.MaxReplayPending {
			f.t.Fatalf("pending when %d are sent: got %d, want some and at most %d", len(sent), pending, delivery.MaxReplayPending)
		}
		var records []delivery.Record
		for _, d := range f.due(e.ID, f.at(time.Hour)) {
			if sent[d.ID] || d.ID.String() < last.String() {
				f.t.Fatalf("due: got %s twice or after %s, want each once, oldest first", d.ID, last)
			}
			sent[d.ID], last = true, d.ID
			records = append(records, delivery.Record{
				Attempt: delivery.Attempt{Verdict: delivery.Delivered, Status: 200}, Delivery: d.ID, Endpoint: e.ID, Tenant: tenant,
				N: 1, Trigger: d.Trigger, At: f.at(time.Hour), Status: delivery.StatusDelivered,
			})
		}
		f.record(records...)
		pending -= len(records)
	}
	f.sweep(f.at(2 * time.Hour))
	got := f.replayNow(r)
	want := r
	want.Status, want.Queued, want.Delivered, want.FinishedAt = delivery.ReplayFinished, many, many, f.at(2*time.Hour)
	f.same(got, want, "replay")
}
