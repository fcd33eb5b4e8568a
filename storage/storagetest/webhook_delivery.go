package storagetest

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func deliveryRules() []hookRule {
	return []hookRule{
		{"deliveries are listed newest first, in pages", deliveriesInPages},
		{"deliveries are listed by what they are", deliveriesByKind},
		{"deliveries of what is not there are not found", deliveriesOfNone},
		{"what is redelivered is due anew", redelivered},
		{"nothing is redelivered to a disabled endpoint", redeliveredToDisabled},
		{"what is redelivered is sent by and by", redeliveredGoesOn},
	}
}

func (f *hookFixture) list(q delivery.Query) []uuid.UUID {
	f.t.Helper()
	q.Tenant = tenant
	if q.Limit == 0 {
		q.Limit = 100
	}
	list, err := f.hooks.Deliveries(f.t.Context(), q)
	f.must(err, "list deliveries")
	return idsOf(list)
}

func deliveriesInPages(f *hookFixture) {
	e, other := f.endpoint(), f.endpoint()
	var want []uuid.UUID
	for i := range 5 {
		want = append(want, f.told(e, time.Duration(i-3)*day, madeAt(f.at(time.Duration(i-4)*day))).ID)
	}
	slices.Reverse(want)
	f.inOrder(f.list(delivery.Query{Endpoint: e.ID}), want...)
	f.inOrder(f.list(delivery.Query{Endpoint: e.ID, Limit: 2}), want[:2]...)
	f.inOrder(f.list(delivery.Query{Endpoint: e.ID, Limit: 2, Before: want[1]}), want[2:4]...)
	f.inOrder(f.list(delivery.Query{Endpoint: e.ID, Limit: 2, Before: want[3]}), want[4])
	f.inOrder(f.list(delivery.Query{Endpoint: e.ID, Limit: 2, Before: want[4]}))
	equal(f.fixture, len(f.deliveries(other)), 5, "deliveries of the other endpoint")
}

func deliveriesByKind(f *hookFixture) {
	e, other := f.endpoint(), f.endpoint()
	pending, delivered, failed := f.told(e, time.Second), f.told(e, 2*time.Second), f.told(e, 3*time.Second)
	f.record(f.ending(delivered, f.at(time.Minute), delivery.StatusDelivered), f.ending(failed, f.at(time.Minute), delivery.StatusFailed))
	skipped := f.told(e, 4*time.Second)
	f.record(f.ending(skipped, f.at(time.Minute), delivery.StatusSkipped))
	_, lane := f.tell(func(v *delivery.Event) { v.Only, v.CreatedAt = e.ID, f.at(5*time.Second) })
	f.inOrder(f.list(delivery.Query{Endpoint: e.ID}), lane[0].ID, skipped.ID, failed.ID, delivered.ID, pending.ID)
	for status, want := range map[delivery.Status][]uuid.UUID{
		delivery.StatusPending: {lane[0].ID, pending.ID}, delivery.StatusDelivered: {delivered.ID},
		delivery.StatusFailed: {failed.ID}, delivery.StatusSkipped: {skipped.ID}, "other": nil,
	} {
		f.inOrder(f.list(delivery.Query{Endpoint: e.ID, Status: status}), want...)
	}
	f.inOrder(f.list(delivery.Query{Endpoint: e.ID, Type: delivery.LaneOpened}), lane[0].ID)
	f.inOrder(f.list(delivery.Query{Endpoint: e.ID, Type: delivery.JobSucceeded, Status: delivery.StatusPending}), pending.ID)
	f.inOrder(f.list(delivery.Query{Endpoint: e.ID, Status: delivery.StatusPending, Before: lane[0].ID}), pending.ID)
	f.inOrder(f.list(delivery.Query{Job: failed.Job, Endpoint: e.ID}), failed.ID)
	f.inOrder(f.list(delivery.Query{Job: failed.Job, Status: delivery.StatusFailed}), failed.ID)
	equal(f.fixture, len(f.list(delivery.Query{Job: failed.Job})), 2, "deliveries of a job")
	equal(f.fixture, len(f.list(delivery.Query{Endpoint: other.ID})), 4, "deliveries of the other endpoint")
}

func deliveriesOfNone(f *hookFixture) {
	ctx, e := f.t.Context(), f.endpoint()
	d := f.told(e, time.Minute)
	for _, q := range []delivery.Query{{Endpoint: newID(f.t)}, {Job: newID(f.t)}, {Job: d.Job, Endpoint: newID(f.t)}} {
		q.Tenant, q.Limit = tenant, 1
		_, err := f.hooks.Deliveries(ctx, q)
		f.mustBe(err, jobs.ErrNotFound, "list deliveries")
	}
	_, _, err := f.hooks.Delivery(ctx, tenant, newID(f.t))
	f.mustBe(err, jobs.ErrNotFound, "read a delivery")
	_, err = f.hooks.Redeliver(ctx, tenant, newID(f.t), f.now)
	f.mustBe(err, jobs.ErrNotFound, "redeliver")
}

func redelivered(f *hookFixture) {
	e := f.endpoint()
	for _, status := range []delivery.Status{
		delivery.StatusPending, delivery.StatusDelivered, delivery.StatusFailed, delivery.StatusSkipped,
	} {
		d := f.told(e, time.Minute)
		r := f.ending(d, f.at(2*time.Minute), status)
		r.Step, r.DueAt = 5, f.at(day)
		f.record(r)
		want := d
		want.Trigger, want.DueAt, want.Attempts = delivery.TriggerRedeliver, f.at(time.Hour), 1
		f.same(f.redeliver(d, f.at(time.Hour)), want, "redelivered")
		f.same(f.is(d, delivery.StatusPending), want, "redelivered, as it is read")
		equal(f.fixture, slices.Contains(dueIDs(f.due(e.ID, f.at(time.Hour-time.Microsecond))), d.ID), false, "due before")
		equal(f.fixture, slices.Contains(dueIDs(f.due(e.ID, f.at(time.Hour))), d.ID), true, "due")
	}
}

func redeliveredToDisabled(f *hookFixture) {
	e := f.endpoint(disabled)
	d := f.told(e, time.Minute)
	_, err := f.hooks.Redeliver(f.t.Context(), tenant, d.ID, f.now)
	f.mustBe(err, delivery.ErrDisabled, "redeliver")
	f.is(d, delivery.StatusSkipped)
	f.update(e, func(e *delivery.Endpoint) { e.Disabled = "" })
	f.redeliver(d, f.now)
	f.leases(f.lease(newID(f.t), f.now), e)
}

func redeliveredGoesOn(f *hookFixture) {
	d := f.told(f.endpoint(), time.Minute)
	first := f.ending(d, f.at(2*time.Minute), delivery.StatusFailed)
	f.record(first)
	f.redeliver(d, f.at(time.Hour))
	second := f.attempt(d, f.at(time.Hour))
	equal(f.fixture, second.N, 2, "number of the next attempt")
	f.record(second)
	third := f.ending(d, f.at(2*time.Hour), delivery.StatusDelivered)
	f.record(third)
	_, attempts := f.deliveryNow(d)
	f.same(attempts, []delivery.Record{first, second, third}, "attempts")
	equal(f.fixture, attempts[1].Trigger, delivery.TriggerRedeliver, "trigger")
}
