package storagetest

import (
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func stateRules() []hookRule {
	return []hookRule{
		{"how an endpoint fares is kept", stateIsKept},
		{"only who holds an endpoint changes its state", stateOfHolder},
		{"an endpoint that fails is disabled, and that is told with it", stateDisables},
		{"what a state leads to happens with it or not at all", stateLeadsToNothing},
		{"an opening makes due as at first what was attempted", stateOpens},
	}
}

func (f *hookFixture) save(holder uuid.UUID, c delivery.StateChange) {
	f.t.Helper()
	f.must(f.hooks.SaveState(f.t.Context(), holder, c), "save a state")
}

func stateIsKept(f *hookFixture) {
	e, other := f.endpoint(), f.endpoint()
	f.answered("a", time.Minute)
	holder := newID(f.t)
	f.leases(f.lease(holder, f.at(time.Minute)), e, other)
	state := delivery.State{
		PausedUntil: f.at(time.Second), PacedUntil: f.at(2 * time.Second), OpenUntil: f.at(3 * time.Second), Openings: 4,
		RampSince: f.at(5 * time.Second), Failures: 6, FailingSince: f.at(7 * time.Second), LastSuccess: f.at(8 * time.Second),
		Warned: 9, Latency: 10 * time.Millisecond, Slow: true,
	}
	f.save(holder, delivery.StateChange{Endpoint: e.ID, State: state})
	f.same(f.watched(tenant, e.ID).State, state, "state")
	f.same(f.renew(holder, f.now, e)[0].State, state, "state of who renews")
	f.same(f.watched(tenant, other.ID).State, delivery.State{}, "another's state")
	equal(f.fixture, f.watched(tenant, e.ID).Version, 1, "version")
	f.update(e, full)
	f.same(f.watched(tenant, e.ID).State, state, "state after a change of the endpoint")
	f.save(holder, delivery.StateChange{Endpoint: e.ID})
	f.same(f.watched(tenant, e.ID).State, delivery.State{}, "state")
}

func stateOfHolder(f *hookFixture) {
	e := f.endpoint(heldFor(-time.Second))
	f.told(e, time.Minute)
	late := f.hold(e, f.at(time.Minute))
	f.update(e, heldFor(time.Hour))
	holder := f.hold(e, f.at(time.Minute))
	change := delivery.StateChange{
		Endpoint: e.ID, State: delivery.State{Failures: 7}, Disable: delivery.DisabledGone, Opened: true, At: f.now,
		Events: []delivery.Event{f.event()},
	}
	f.save(late, change)
	f.save(newID(f.t), change)
	f.letGo(holder, e)
	f.save(holder, change)
	got := f.watched(tenant, e.ID)
	f.same(got.State, delivery.State{}, "state")
	equal(f.fixture, got.Disabled, "", "disabled")
	equal(f.fixture, len(f.deliveries(e)), 1, "deliveries: none of the event")
}

func stateDisables(f *hookFixture) {
	e, other := f.endpoint(), f.endpoint(wantingTypes("endpoint.*"))
	f.endpoint(wantingTypes("lane.*"))
	d := f.told(e, time.Minute)
	holder := f.hold(e, f.at(time.Minute))
	v := f.event(func(v *delivery.Event) { v.Type, v.Except = delivery.EndpointDisabled, e.ID })
	state := delivery.State{Failures: 20, FailingSince: f.now}
	f.save(holder, delivery.StateChange{
		Endpoint: e.ID, State: state, Disable: delivery.DisabledFailing, At: f.at(5 * day), Events: []delivery.Event{v},
	})
	got := f.watched(tenant, e.ID)
	f.same(got.State, state, "state")
	equal(f.fixture, got.Disabled, delivery.DisabledFailing, "disabled")
	equal(f.fixture, got.ChangedAt, f.at(5*day), "changed at")
	equal(f.fixture, got.Version, 2, "version")
	f.mustBe(f.hooks.UpdateEndpoint(f.t.Context(), e), delivery.ErrChanged, "change what was not known to be disabled")
	told := f.one(other)
	equal(f.fixture, told.Event, v.ID, "event")
	f.leases(f.renew(holder, f.now, e))
	f.letGo(holder, e)
	f.leases(f.lease(newID(f.t), f.at(6*day)), other)
	f.sweep(f.at(6 * day))
	f.is(d, delivery.StatusSkipped)
}

func stateLeadsToNothing(f *hookFixture) {
	e, other := f.endpoint(), f.endpoint(wantingTypes("endpoint.*"))
	f.told(e, time.Minute)
	holder := f.hold(e, f.at(time.Minute))
	v := f.event(func(v *delivery.Event) { v.Type = delivery.EndpointFailing })
	c := delivery.StateChange{Endpoint: e.ID, State: delivery.State{Warned: 1}, At: f.now, Events: []delivery.Event{v}}
	f.save(holder, c)
	f.save(holder, c) // nobody knew whether it was kept
	f.one(other)
	equal(f.fixture, len(f.deliveries(e)), 2, "deliveries: of the job, and of the event")
	f.must(f.hooks.DeleteEndpoint(f.t.Context(), tenant, e.ID), "delete an endpoint")
	c.Events = []delivery.Event{f.event(func(v *delivery.Event) { v.Type = delivery.EndpointFailing })}
	f.save(holder, c)
	f.one(other)
}

func stateOpens(f *hookFixture) {
	e, other := f.endpoint(scheduled(time.Minute, time.Hour, time.Hour)), f.endpoint()
	tried, twice, fresh := f.told(e, time.Minute), f.told(e, 2*time.Minute), f.told(e, 3*time.Minute)
	redelivered, ended := f.told(e, time.Second), f.told(e, time.Second)
	theirs := f.deliveries(other)[0]
	r := f.attempt(theirs, f.at(5*time.Minute))
	f.record(r)
	holder := newID(f.t)
	f.lease(holder, f.at(4*time.Minute))
	for _, d := range []delivery.Delivery{tried, twice, twice} {
		r := f.attempt(d, f.at(5*time.Minute))
		r.DueAt = f.at(2 * time.Hour)
		f.record(r)
	}
	f.redeliver(redelivered, f.at(10*time.Minute))
	f.record(f.attempt(redelivered, f.at(10*time.Minute)), f.ending(ended, f.at(time.Minute), delivery.StatusFailed))
	f.save(holder, delivery.StateChange{Endpoint: e.ID, State: delivery.State{Openings: 1}, Opened: true, At: f.at(11 * time.Minute)})
	f.inOrder(dueIDs(f.due(e.ID, f.at(time.Hour))), tried.ID, twice.ID, fresh.ID, redelivered.ID)
	got := f.is(twice, delivery.StatusPending)
	equal(f.fixture, got.DueAt, f.at(3*time.Minute), "due at: as at first")
	equal(f.fixture, got.Step, 2, "step")
	equal(f.fixture, f.is(redelivered, delivery.StatusPending).DueAt, f.at(10*time.Minute), "due at: when it was redelivered")
	equal(f.fixture, f.is(fresh, delivery.StatusPending).DueAt, f.at(4*time.Minute), "due at: not before its time")
	f.is(ended, delivery.StatusFailed)
	equal(f.fixture, f.is(theirs, delivery.StatusPending).DueAt, r.DueAt, "due at of another endpoint's")
}
