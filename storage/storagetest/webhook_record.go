package storagetest

import (
	"sync"
	"time"

	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func recordRules() []hookRule {
	return []hookRule{
		{"attempts are kept whole, and listed oldest first", attemptsAreKept},
		{"a failed attempt moves its delivery on", attemptMovesOn},
		{"an attempt may end its delivery", attemptEnds},
		{"an attempt that is recorded twice counts once", attemptCountsOnce},
		{"of two that are the same attempt the first counts", sameAttemptCountsOnce},
		{"an attempt that comes before the one before it moves nothing on", attemptAhead},
		{"an attempt that says delivered decides", deliveredWins},
		{"a repeated word of a delivery undoes no redelivery", deliveredIsSaidOnce},
		{"what is redelivered meanwhile stays due", redeliveredStaysDue},
		{"what has ended is not made pending by an attempt", endedStaysEnded},
		{"an endpoint that takes no large body is remembered", thinIsKept},
		{"many are recorded at once", manyAreRecorded},
		{"attempts of one delivery come together", attemptsTogether},
	}
}

func attemptsAreKept(f *hookFixture) {
	e := f.endpoint()
	d := f.told(e, time.Minute)
	first := f.attempt(d, f.at(time.Minute))
	first.Failure, first.Attempt.Status, first.RemoteAddr, first.Answer = delivery.FailureDNS, 0, "", nil
	f.record(first)
	second := f.attempt(d, f.at(2*time.Minute))
	second.Verdict, second.RetryAfter = delivery.Paused, 90*time.Second
	second.Answer, second.KeyID, second.Thin = []byte("\x00no\xff"), newID(f.t), true
	f.record(second)
	third := f.ending(d, f.at(3*time.Minute), delivery.StatusDelivered)
	f.record(third)
	got, attempts := f.deliveryNow(d)
	equal(f.fixture, got.Attempts, 3, "attempts")
	f.same(attempts, []delivery.Record{first, second, third}, "attempts")
	for i, want := range []string{"", "\x00no\xff", ""} {
		equal(f.fixture, string(attempts[i].Answer), want, "answer")
	}
}

func attemptMovesOn(f *hookFixture) {
	e := f.endpoint()
	d, other := f.told(e, time.Minute), f.told(e, time.Minute)
	r := f.attempt(d, f.at(time.Minute))
	r.Step, r.DueAt = 4, f.at(time.Hour)
	f.record(r)
	want := d
	want.Attempts, want.Step, want.DueAt = 1, 4, f.at(time.Hour)
	f.same(f.is(d, delivery.StatusPending), want, "delivery")
	f.inOrder(dueIDs(f.due(e.ID, f.at(time.Hour-time.Microsecond))), other.ID)
	f.inOrder(dueIDs(f.due(e.ID, f.at(time.Hour))), other.ID, d.ID)
}

func attemptEnds(f *hookFixture) {
	e := f.endpoint()
	for _, status := range []delivery.Status{delivery.StatusDelivered, delivery.StatusFailed, delivery.StatusSkipped} {
		d := f.told(e, time.Minute)
		f.record(f.attempt(d, f.at(time.Minute)))
		f.record(f.ending(d, f.at(2*time.Minute), status))
		got := f.is(d, status)
		equal(f.fixture, got.FinishedAt, f.at(2*time.Minute+20*time.Millisecond), "finished at")
		equal(f.fixture, got.DueAt, time.Time{}, "due at")
		equal(f.fixture, got.Attempts, 2, "attempts")
	}
	equal(f.fixture, len(f.due(e.ID, f.at(1000*day))), 0, "due")
}

func attemptCountsOnce(f *hookFixture) {
	d := f.told(f.endpoint(), time.Minute)
	first := f.attempt(d, f.at(time.Minute))
	f.record(first)
	second := f.attempt(d, f.at(2*time.Minute))
	f.record(second, second)
	f.record(first)
	got, attempts := f.deliveryNow(d)
	equal(f.fixture, got.Attempts, 2, "attempts")
	equal(f.fixture, got.Step, 2, "step")
	equal(f.fixture, got.DueAt, f.at(3*time.Minute), "due at")
	f.same(attempts, []delivery.Record{first, second}, "attempts")
}

func sameAttemptCountsOnce(f *hookFixture) {
	d := f.told(f.endpoint(), time.Minute)
	one, other := f.attempt(d, f.at(time.Minute)), f.attempt(d, f.at(2*time.Minute))
	last := f.ending(d, f.at(2*time.Minute), delivery.StatusFailed)
	f.record(one)
	f.record(other)
	f.record(last)
	got, attempts := f.deliveryNow(d)
	equal(f.fixture, got.Attempts, 1, "attempts")
	equal(f.fixture, got.Status, delivery.StatusPending, "status")
	equal(f.fixture, got.DueAt, one.DueAt, "due at")
	f.same(attempts, []delivery.Record{one}, "attempts")
}

func attemptAhead(f *hookFixture) {
	d := f.told(f.endpoint(), time.Minute)
	ahead := f.ending(d, f.at(2*time.Minute), delivery.StatusFailed)
	ahead.N = 2
	f.record(ahead)
	got := f.is(d, delivery.StatusPending)
	equal(f.fixture, got.DueAt, d.DueAt, "due at")
	equal(f.fixture, got.Step, 0, "step")
}

func deliveredWins(f *hookFixture) {
	e := f.endpoint()
	for _, first := range []delivery.Status{delivery.StatusPending, delivery.StatusFailed, delivery.StatusSkipped} {
		d := f.told(e, time.Minute)
		one, other := f.ending(d, f.at(time.Minute), first), f.ending(d, f.at(2*time.Minute), delivery.StatusDelivered)
		if first == delivery.StatusPending {
			one.DueAt = f.at(time.Hour)
		}
		f.record(one)
		f.record(other)
		got := f.is(d, delivery.StatusDelivered)
		equal(f.fixture, got.Attempts, 1, "attempts")
		equal(f.fixture, got.FinishedAt, f.at(2*time.Minute+20*time.Millisecond), "finished at")
		f.record(one) // which is late
		f.is(d, delivery.StatusDelivered)
	}
	equal(f.fixture, len(f.due(e.ID, f.at(1000*day))), 0, "due")
}

func deliveredIsSaidOnce(f *hookFixture) {
	d := f.told(f.endpoint(), time.Minute)
	r := f.ending(d, f.at(time.Minute), delivery.StatusDelivered)
	f.record(r)
	f.redeliver(d, f.at(time.Hour))
	f.record(r)
	got := f.is(d, delivery.StatusPending)
	equal(f.fixture, got.DueAt, f.at(time.Hour), "due at")
	equal(f.fixture, got.Attempts, 1, "attempts")
}

func redeliveredStaysDue(f *hookFixture) {
	e := f.endpoint()
	for _, status := range []delivery.Status{delivery.StatusPending, delivery.StatusFailed} {
		d := f.told(e, time.Minute)
		r := f.ending(d, f.at(time.Minute), status)
		r.DueAt = f.at(day)
		f.redeliver(d, f.at(time.Hour))
		f.record(r)
		got := f.is(d, delivery.StatusPending)
		equal(f.fixture, got.DueAt, f.at(time.Hour), "due at")
		equal(f.fixture, got.Step, 0, "step")
		equal(f.fixture, got.Attempts, 1, "attempts")
		f.record(f.ending(d, f.at(time.Hour), status))
		equal(f.fixture, f.is(d, status).Attempts, 2, "attempts")
	}
	d := f.told(e, time.Minute)
	r := f.ending(d, f.at(time.Minute), delivery.StatusDelivered)
	f.redeliver(d, f.at(time.Hour))
	f.record(r)
	f.is(d, delivery.StatusDelivered)
}

func endedStaysEnded(f *hookFixture) {
	e := f.endpoint()
	d := f.told(e, time.Minute)
	r := f.attempt(d, f.at(time.Minute))
	f.update(e, disabled)
	f.sweep(f.at(2 * time.Minute))
	f.record(r)
	got := f.is(d, delivery.StatusSkipped)
	equal(f.fixture, got.Attempts, 1, "attempts")
	equal(f.fixture, got.FinishedAt, f.at(2*time.Minute), "finished at")
	f.record(f.ending(d, f.at(3*time.Minute), delivery.StatusFailed))
	got = f.is(d, delivery.StatusSkipped)
	equal(f.fixture, got.Attempts, 2, "attempts")
	equal(f.fixture, got.FinishedAt, f.at(2*time.Minute), "finished at")
	f.record(f.ending(d, f.at(4*time.Minute), delivery.StatusDelivered))
	equal(f.fixture, f.is(d, delivery.StatusDelivered).Attempts, 3, "attempts")
}

func thinIsKept(f *hookFixture) {
	e := f.endpoint()
	d := f.told(e, time.Minute)
	r := f.attempt(d, f.at(time.Minute))
	r.Verdict, r.Thin, r.Step, r.DueAt = delivery.TooLarge, true, 0, f.at(time.Minute)
	f.record(r)
	equal(f.fixture, f.due(e.ID, f.at(time.Minute))[0].Thin, true, "thin")
	end := f.ending(d, f.at(2*time.Minute), delivery.StatusFailed)
	end.Thin = true
	f.record(end)
	equal(f.fixture, f.is(d, delivery.StatusFailed).Thin, true, "thin")
	f.redeliver(d, f.at(time.Hour))
	equal(f.fixture, f.due(e.ID, f.at(time.Hour))[0].Thin, true, "thin when it is redelivered")
}

func manyAreRecorded(f *hookFixture) {
	const many = 300
	e, other := f.endpoint(), f.endpoint(others)
	f.crowd(many)
	theirs := f.told(other, time.Minute)
	var records []delivery.Record
	for _, d := range f.deliveries(e) {
		records = append(records, f.ending(d, f.at(2*time.Minute), delivery.StatusDelivered))
	}
	equal(f.fixture, len(records), many, "deliveries")
	records = append(records, f.attempt(theirs, f.at(2*time.Minute)), f.lateFor(delivery.Delivery{ID: newID(f.t), Endpoint: e.ID, Tenant: tenant}))
	var group sync.WaitGroup
	for range 3 { // two of them know nothing of the first's success
		group.Go(func() { f.check(f.hooks.Record(f.t.Context(), records), "record") })
	}
	group.Wait()
	for _, d := range f.deliveries(e) {
		equal(f.fixture, d.Status, delivery.StatusDelivered, "status")
		equal(f.fixture, d.Attempts, 1, "attempts")
	}
	equal(f.fixture, f.is(theirs, delivery.StatusPending).Attempts, 1, "attempts of another tenant's")
	f.record()
}

func attemptsTogether(f *hookFixture) {
	d := f.told(f.endpoint(), time.Minute)
	first := f.attempt(d, f.at(time.Minute))
	second := f.ending(d, f.at(2*time.Minute), delivery.StatusDelivered)
	second.N, second.Step = 2, 2
	f.record(first, second)
	got, attempts := f.deliveryNow(d)
	equal(f.fixture, got.Status, delivery.StatusDelivered, "status")
	equal(f.fixture, got.Attempts, 2, "attempts")
	f.same(attempts, []delivery.Record{first, second}, "attempts")
}
