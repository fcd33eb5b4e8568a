package storagetest

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func sweepRules() []hookRule {
	return []hookRule{
		{"what is pending of a disabled endpoint is skipped", sweepSkips},
		{"limit bounds a sweep", sweepLimit},
		{"of many who sweep at once each does its own", sweepsRace},
		{"secrets that have expired go", sweepSecrets},
		{"old deliveries are forgotten once they have ended", forgetDeliveries},
		{"old events of no job are forgotten, and replays that have ended", forgetEvents},
	}
}

func sweepSkips(f *hookFixture) {
	e, other := f.endpoint(), f.endpoint()
	fresh, tried, delivered := f.told(e, time.Minute), f.told(e, time.Minute), f.told(e, time.Minute)
	f.record(f.attempt(tried, f.at(time.Minute)), f.ending(delivered, f.at(time.Minute), delivery.StatusDelivered))
	equal(f.fixture, f.sweep(f.at(time.Hour)), 0, "left to do")
	f.update(e, disabled)
	equal(f.fixture, f.sweep(f.at(time.Hour)), 2, "swept")
	for _, d := range []delivery.Delivery{fresh, tried} {
		got := f.is(d, delivery.StatusSkipped)
		equal(f.fixture, got.FinishedAt, f.at(time.Hour), "finished at")
		equal(f.fixture, got.DueAt, time.Time{}, "due at")
	}
	f.is(delivered, delivery.StatusDelivered)
	equal(f.fixture, len(f.due(other.ID, f.at(time.Hour))), 3, "due of another endpoint")
	f.update(other, disabled)
	f.update(other, func(e *delivery.Endpoint) { e.Disabled = "" })
	equal(f.fixture, f.sweep(f.at(time.Hour)), 0, "swept of what is enabled again")
	equal(f.fixture, len(f.due(other.ID, f.at(time.Hour))), 3, "due of another endpoint")
}

func sweepLimit(f *hookFixture) {
	off, replayed := f.endpoint(), f.endpoint()
	for range 30 {
		f.submit("a")
	}
	f.finish(f.success(f.claim(f.release(f.now), f.worker()), f.at(time.Minute)))
	for _, d := range f.deliveries(replayed) {
		f.record(f.ending(d, f.at(time.Minute), delivery.StatusFailed))
	}
	f.replay(replayed, nil)
	f.update(off, disabled)
	swept := 0
	for n := 1; n > 0; swept += n {
		var err error
		n, err = f.hooks.Sweep(f.t.Context(), f.at(time.Hour), 10)
		f.must(err, "sweep")
		if n > 10 {
			f.t.Fatalf("swept with limit 10: got %d", n)
		}
	}
	equal(f.fixture, swept, 60, "swept in all")
}

func sweepsRace(f *hookFixture) {
	const many = 200
	off, replayed := f.endpoint(), f.endpoint()
	for range many {
		f.submit("a")
	}
	f.finish(f.success(f.claim(f.release(f.now), f.worker()), f.at(time.Minute)))
	for _, d := range f.deliveries(replayed) {
		f.record(f.ending(d, f.at(time.Minute), delivery.StatusFailed))
	}
	r := f.replay(replayed, nil)
	f.update(off, disabled)
	var swept atomic.Int64
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 20 {
				n, err := f.hooks.Sweep(f.t.Context(), f.at(time.Hour), 50)
				f.check(err, "sweep")
				swept.Add(int64(n))
			}
		})
	}
	group.Wait()
	swept.Add(int64(f.sweep(f.at(time.Hour))))
	equal(f.fixture, swept.Load(), 2*many, "swept")
	equal(f.fixture, f.replayNow(r).Queued, many, "queued")
	equal(f.fixture, len(f.due(replayed.ID, f.at(time.Hour))), many, "due")
	equal(f.fixture, len(f.list(delivery.Query{Endpoint: off.ID, Status: delivery.StatusSkipped, Limit: 1000})), many, "skipped")
}

func sweepSecrets(f *hookFixture) {
	e := f.endpoint()
	f.rotate(e.ID, f.at(time.Minute), f.at(time.Hour))
	equal(f.fixture, f.sweep(f.at(time.Hour-time.Microsecond)), 0, "swept before")
	equal(f.fixture, f.sweep(f.at(time.Hour)), 1, "swept")
	has, err := f.hooks.HasSecret(f.t.Context(), tenant, e.ID, f.at(1000*day))
	f.must(err, "look for a secret")
	equal(f.fixture, has, true, "has its secret")
}

func (f *hookFixture) forget(before time.Time) {
	f.t.Helper()
	f.must(f.hooks.ForgetDeliveries(f.t.Context(), before), "forget deliveries")
}

func forgetDeliveries(f *hookFixture) {
	e := f.endpoint()
	var old []delivery.Delivery
	for _, status := range []delivery.Status{delivery.StatusDelivered, delivery.StatusFailed, delivery.StatusSkipped} {
		old = append(old, f.finished(e, -40*day, status))
	}
	pending, young := f.told(e, -40*day, madeAt(f.at(-41*day))), f.finished(e, -29*day, delivery.StatusDelivered)
	f.keepBody(pending, "body")
	f.record(f.attempt(pending, f.now))
	f.forget(f.at(-30 * day))
	for _, d := range old {
		f.gone(d)
		f.endedOf(tenant, d.Job, jobs.StatusSucceeded) // a job is kept for as long as its own retention says
	}
	f.is(young, delivery.StatusDelivered)
	_, attempts := f.deliveryNow(young)
	equal(f.fixture, len(attempts), 1, "attempts")
	f.is(pending, delivery.StatusPending)
	equal(f.fixture, string(f.due(e.ID, f.at(day))[0].Body), "body", "body")
	f.record(f.ending(pending, f.now, delivery.StatusDelivered))
	f.forget(f.at(-30 * day))
	f.gone(pending)
	f.forget(f.at(-30 * day))
}

func forgetEvents(f *hookFixture) {
	e := f.endpoint()
	old, told := f.tell(func(v *delivery.Event) { v.CreatedAt = f.at(-40 * day) })
	waits, waiting := f.tell(func(v *delivery.Event) { v.CreatedAt = f.at(-40 * day) })
	young, recent := f.tell(func(v *delivery.Event) { v.CreatedAt = f.at(-20 * day) })
	f.record(f.ending(told[0], f.now, delivery.StatusDelivered), f.ending(recent[0], f.now, delivery.StatusDelivered))
	ended := f.replay(e, func(r *delivery.Replay) { r.CreatedAt, r.Until = f.at(-40*day), f.at(-50*day) })
	f.sweep(f.at(-39 * day))
	running := f.replay(e, func(r *delivery.Replay) { r.CreatedAt, r.Until = f.at(-40*day), f.at(-50*day) })
	f.forget(f.at(-30 * day))
	f.gone(told[0])
	_, err := f.hooks.ReplayByID(f.t.Context(), tenant, ended.ID)
	f.mustBe(err, jobs.ErrNotFound, "read a replay that had ended")
	f.replayNow(running)
	equal(f.fixture, string(f.due(e.ID, f.now)[0].Data), string(waits.Data), "data of what is pending")
	f.is(waiting[0], delivery.StatusPending)
	again, err := f.hooks.Tell(f.t.Context(), young)
	f.must(err, "tell again of what is kept")
	equal(f.fixture, again[0].Status, delivery.StatusDelivered, "status of what is kept")
	again, err = f.hooks.Tell(f.t.Context(), old)
	f.must(err, "tell of what was forgotten")
	equal(f.fixture, again[0].Status, delivery.StatusPending, "status of what is told anew")
}
