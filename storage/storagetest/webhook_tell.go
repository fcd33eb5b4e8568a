package storagetest

import (
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func tellRules() []hookRule {
	return []hookRule{
		{"an event is told to those who want it", tellReaches},
		{"an event may leave one out, or be for one alone", tellChooses},
		{"an event is told once", tellOnce},
		{"of many who tell of the same one does", tellRaces},
		{"invariant 9: an event is its tenant's", tellOfOthers},
	}
}

func (f *hookFixture) tell(edits ...func(e *delivery.Event)) (delivery.Event, []delivery.Delivery) {
	f.t.Helper()
	v := f.event(edits...)
	told, err := f.hooks.Tell(f.t.Context(), v)
	f.must(err, "tell")
	return v, told
}

// toldTo fails the test unless the deliveries are to those endpoints, in their order.
func (f *hookFixture) toldTo(told []delivery.Delivery, want ...delivery.Endpoint) {
	f.t.Helper()
	got := make([]uuid.UUID, len(told))
	for i, d := range told {
		got[i] = d.Endpoint
		if i > 0 && d.ID.String() < told[i-1].ID.String() {
			f.t.Fatalf("deliveries: got %s after %s, want them in the order of their ids", d.ID, told[i-1].ID)
		}
	}
	ids := make([]uuid.UUID, len(want))
	for i, e := range want {
		ids[i] = e.ID
	}
	f.sameIDs(got, ids...)
}

func tellReaches(f *hookFixture) {
	all, some := f.endpoint(), f.endpoint(wantingTypes("lane.*"), scheduled(time.Hour))
	off := f.endpoint(disabled)
	f.endpoint(wantingTypes("job.*", delivery.LaneClosed))
	f.endpoint(wantingMetadata(map[string]string{"a": "b"}))
	f.origin()
	v, told := f.tell()
	f.toldTo(told, all, some, off)
	for _, d := range told {
		want := delivery.Delivery{
			ID: delivery.IDOf(v.ID, d.Endpoint), Tenant: tenant, Endpoint: d.Endpoint, Event: v.ID, Type: v.Type,
			Status: delivery.StatusPending, Trigger: delivery.TriggerEvent, DueAt: f.now, CreatedAt: f.now,
		}
		switch d.Endpoint {
		case some.ID:
			want.DueAt = f.at(time.Hour)
		case off.ID:
			want.Status, want.DueAt, want.FinishedAt = delivery.StatusSkipped, time.Time{}, f.now
		}
		f.same(d, want, "delivery")
		f.same(f.is(d, want.Status), want, "delivery as it is read")
	}
}

func tellChooses(f *hookFixture) {
	one, other := f.endpoint(wantingTypes("job.*"), wantingMetadata(map[string]string{"a": "b"})), f.endpoint()
	_, told := f.tell(func(v *delivery.Event) { v.Except = other.ID })
	f.toldTo(told)
	_, told = f.tell(func(v *delivery.Event) { v.Except = one.ID })
	f.toldTo(told, other)
	_, told = f.tell(func(v *delivery.Event) {
		v.Only, v.Type, v.Trigger = one.ID, delivery.EndpointTest, delivery.TriggerTest
	})
	f.toldTo(told, one)
	equal(f.fixture, told[0].Trigger, delivery.TriggerTest, "trigger")
	equal(f.fixture, len(f.due(one.ID, f.now)), 1, "due")
	f.update(one, disabled)
	_, told = f.tell(func(v *delivery.Event) { v.Only = one.ID })
	f.toldTo(told, one)
	equal(f.fixture, told[0].Status, delivery.StatusSkipped, "status")
	origin := f.origin()
	_, told = f.tell(func(v *delivery.Event) { v.Only = origin.ID })
	f.toldTo(told, origin)
	_, err := f.hooks.Tell(f.t.Context(), f.event(func(v *delivery.Event) { v.Only = newID(f.t) }))
	f.mustBe(err, jobs.ErrNotFound, "tell none")
}

func tellOnce(f *hookFixture) {
	e := f.endpoint()
	v, first := f.tell()
	f.record(f.ending(first[0], f.at(time.Minute), delivery.StatusDelivered))
	f.endpoint()
	again, err := f.hooks.Tell(f.t.Context(), v)
	f.must(err, "tell again")
	f.toldTo(again, e)
	equal(f.fixture, again[0].Status, delivery.StatusDelivered, "status")
	_, other := f.tell()
	equal(f.fixture, len(other), 2, "deliveries of another event")
}

func tellRaces(f *hookFixture) {
	e := f.endpoint()
	v := f.event()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			told, err := f.hooks.Tell(f.t.Context(), v)
			f.check(err, "tell")
			if len(told) != 1 {
				f.t.Errorf("told: got %d deliveries, want 1", len(told))
			}
		})
	}
	group.Wait()
	f.one(e)
}

func tellOfOthers(f *hookFixture) {
	mine, theirs := f.endpoint(), f.endpoint(others)
	v, told := f.tell()
	f.toldTo(told, mine)
	equal(f.fixture, len(f.deliveries(theirs)), 0, "deliveries of another tenant")
	v.Tenant = "other"
	told, err := f.hooks.Tell(f.t.Context(), v)
	f.must(err, "tell what is there of another tenant")
	f.toldTo(told)
}
