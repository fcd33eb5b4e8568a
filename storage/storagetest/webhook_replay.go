package storagetest

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func replayRules() []hookRule {
	return []hookRule{
		{"a replay selects what has ended, by time, status and type", replaySelects},
		{"a replay is kept, and makes its deliveries due anew", replayQueues},
		{"a replay tells how far it is, and finishes", replayFinishes},
		{"a replay of nothing finishes", replayOfNothing},
		{"a cancelled replay puts back what was not sent", replayIsCancelled},
		{"what is on its way when a replay is cancelled", replayCancelledOnItsWay},
		{"a replay that has ended stays as it is", replayEndedStays},
		{"a replay waits while its endpoint is disabled", replayWaits},
		{"a replay ends without what was redelivered or deleted meanwhile", replayWithoutSome},
		{"two replays go on side by side", replaysTogether},
		{"invariant 9: another tenant's replay is not found", replayOfOthers},
		{"replays are listed newest first", replaysAreListed},
	}
}

func (f *hookFixture) replayNow(r delivery.Replay) delivery.Replay {
	f.t.Helper()
	got, err := f.hooks.ReplayByID(f.t.Context(), r.Tenant, r.ID)
	f.must(err, "read a replay")
	return got
}

func (f *hookFixture) cancelReplay(r delivery.Replay, at time.Time) delivery.Replay {
	f.t.Helper()
	got, err := f.hooks.CancelReplay(f.t.Context(), r.Tenant, r.ID, at)
	f.must(err, "cancel a replay")
	return got
}

// finished makes a delivery that ended so.
func (f *hookFixture) finished(e delivery.Endpoint, at time.Duration, status delivery.Status) delivery.Delivery {
	f.t.Helper()
	d := f.told(e, at, madeAt(f.at(at-time.Minute)))
	f.record(f.ending(d, f.at(at+time.Second), status))
	return f.is(d, status)
}

func replaySelects(f *hookFixture) {
	e, other := f.endpoint(), f.endpoint()
	old, delivered := f.finished(e, -3*day, delivery.StatusFailed), f.finished(e, -2*day, delivery.StatusDelivered)
	skipped, last := f.finished(e, -day, delivery.StatusSkipped), f.finished(e, 0, delivery.StatusFailed)
	pending := f.told(e, time.Minute)
	_, lane := f.tell(func(v *delivery.Event) { v.Only, v.CreatedAt = e.ID, f.at(-time.Hour) })
	f.record(f.ending(lane[0], f.now, delivery.StatusFailed))
	all := []uuid.UUID{old.ID, delivered.ID, skipped.ID, lane[0].ID, last.ID}
	for _, c := range []struct {
		edit func(r *delivery.Replay)
		want []uuid.UUID
	}{
		{func(*delivery.Replay) {}, all},
		{func(r *delivery.Replay) { r.Since = f.at(-2 * day) }, all[1:]},
		{func(r *delivery.Replay) { r.Since = f.at(-2*day + time.Microsecond) }, all[2:]},
		{func(r *delivery.Replay) { r.Until = f.at(-2 * day) }, all[:1]},
		{func(r *delivery.Replay) { r.Until = f.at(-2*day + time.Microsecond) }, all[:2]},
		{func(r *delivery.Replay) { r.Since, r.Until = f.at(-2*day), f.at(-time.Hour) }, all[1:3]},
		{func(r *delivery.Replay) { r.Statuses = []delivery.Status{delivery.StatusFailed} }, []uuid.UUID{old.ID, lane[0].ID, last.ID}},
		{func(r *delivery.Replay) {
			r.Statuses = []delivery.Status{delivery.StatusSkipped, delivery.StatusDelivered}
		}, all[1:3]},
		{func(r *delivery.Replay) { r.Statuses = []delivery.Status{delivery.StatusPending} }, nil},
		{func(r *delivery.Replay) { r.Types = []string{delivery.LaneOpened, delivery.JobExpired} }, []uuid.UUID{lane[0].ID}},
		{func(r *delivery.Replay) {
			r.Types, r.Statuses = []string{delivery.JobSucceeded}, []delivery.Status{delivery.StatusFailed}
			r.Since = f.at(-2 * day)
		}, []uuid.UUID{last.ID}},
	} {
		r := f.replay(e, c.edit)
		equal(f.fixture, r.Total, int64(len(c.want)), "total")
		f.sweep(f.at(time.Hour))
		due := slices.DeleteFunc(f.due(e.ID, f.at(time.Hour)), func(d delivery.Due) bool { return d.ID == pending.ID })
		f.inOrder(dueIDs(due), c.want...)
		f.cancelReplay(r, f.at(time.Hour))
	}
	for _, d := range f.deliveries(other) {
		equal(f.fixture, d.Status, delivery.StatusPending, "status of another endpoint's")
		equal(f.fixture, d.Trigger, delivery.TriggerEvent, "trigger of another endpoint's")
	}
}

func replayQueues(f *hookFixture) {
	e := f.endpoint()
	d := f.told(e, time.Minute)
	end := f.ending(d, f.at(2*time.Minute), delivery.StatusFailed)
	end.Step, end.Thin = 7, true
	f.record(end)
	r := delivery.Replay{
		ID: newID(f.t), Tenant: tenant, Endpoint: e.ID, Since: f.now, Until: f.at(time.Hour),
		Statuses: []delivery.Status{delivery.StatusFailed, delivery.StatusSkipped}, Types: []string{delivery.JobSucceeded},
		CreatedAt: f.at(time.Hour),
	}
	got, err := f.hooks.StartReplay(f.t.Context(), r)
	f.must(err, "start a replay")
	r.Status, r.Total = delivery.ReplayRunning, 1
	f.same(got, r, "started")
	f.same(f.replayNow(r), r, "replay")
	f.is(d, delivery.StatusFailed)
	f.sweep(f.at(2 * time.Hour))
	want := d
	want.Trigger, want.Replay, want.DueAt = delivery.TriggerReplay, r.ID, f.at(2*time.Hour)
	want.Attempts, want.Thin = 1, true
	f.same(f.is(d, delivery.StatusPending), want, "delivery")
	r.Queued = 1
	f.same(f.replayNow(r), r, "replay that goes on")
	f.leases(f.lease(newID(f.t), f.at(2*time.Hour-time.Microsecond)))
	f.leases(f.lease(newID(f.t), f.at(2*time.Hour)), e)
}

func replayFinishes(f *hookFixture) {
	e := f.endpoint()
	var all []delivery.Delivery
	for i := range 4 {
		all = append(all, f.finished(e, time.Duration(i)*time.Second, delivery.StatusFailed))
	}
	r := f.replay(e, nil)
	f.sweep(f.at(time.Hour))
	f.record(f.ending(all[0], f.at(time.Hour), delivery.StatusDelivered), f.ending(all[1], f.at(time.Hour), delivery.StatusFailed))
	f.record(f.ending(all[2], f.at(time.Hour), delivery.StatusSkipped), f.attempt(all[3], f.at(time.Hour)))
	equal(f.fixture, f.sweep(f.at(2*time.Hour)), 0, "pieces while one is pending")
	want := r
	want.Queued, want.Delivered, want.Failed = 4, 1, 1
	f.same(f.replayNow(r), want, "replay while one is pending")
	late := f.finished(e, 5*time.Second, delivery.StatusFailed) // which was pending when it began
	f.record(f.ending(all[3], f.at(2*time.Hour), delivery.StatusDelivered))
	f.sweep(f.at(3 * time.Hour))
	if got := f.replayNow(r); got.Queued == 5 { // a store may take what has ended since
		f.record(f.ending(late, f.at(3*time.Hour), delivery.StatusFailed))
		want.Queued, want.Failed = 5, 2
		f.sweep(f.at(3 * time.Hour))
	}
	want.Status, want.Delivered, want.FinishedAt = delivery.ReplayFinished, 2, f.at(3*time.Hour)
	f.same(f.replayNow(r), want, "replay")
	equal(f.fixture, f.is(all[3], delivery.StatusDelivered).Replay, r.ID, "replay of what it sent")
}

func replayOfNothing(f *hookFixture) {
	e := f.endpoint()
	f.told(e, time.Minute)
	r := f.replay(e, nil)
	equal(f.fixture, r.Total, 0, "total")
	f.sweep(f.at(time.Hour))
	equal(f.fixture, f.replayNow(r).Status, delivery.ReplayFinished, "status")
}

// crowd makes many jobs end at once.
func (f *hookFixture) crowd(many int) {
	f.t.Helper()
	_, w, _ := f.running("crowd")
	submissions := make([]func(), many-1)
	for i := range submissions {
		s := f.submission("crowd")
		submissions[i] = func() {
			_, err := f.store.Submit(f.t.Context(), s)
			f.check(err, "submit")
		}
	}
	for chunk := range slices.Chunk(submissions, 200) {
		atOnce(chunk...)
	}
	equal(f.fixture, len(f.finish(f.success(w, f.at(time.Minute)))), many, "ended")
}

func replayIsCancelled(f *hookFixture) {
	e := f.endpoint()
	before := []delivery.Delivery{
		f.finished(e, time.Second, delivery.StatusDelivered), f.finished(e, 2*time.Second, delivery.StatusFailed),
		f.finished(e, 3*time.Second, delivery.StatusSkipped),
	}
	f.redeliver(before[1], f.at(time.Minute))
	f.record(f.ending(before[1], f.at(time.Minute), delivery.StatusFailed))
	before[1] = f.is(before[1], delivery.StatusFailed)
	sent := f.finished(e, 0, delivery.StatusFailed)
	r := f.replay(e, nil)
	f.sweep(f.at(time.Hour))
	f.record(f.ending(sent, f.at(time.Hour), delivery.StatusDelivered))
	got := f.cancelReplay(r, f.at(2*time.Hour))
	want := r
	want.Status, want.Queued, want.Delivered, want.FinishedAt = delivery.ReplayCancelled, 4, 1, f.at(2*time.Hour)
	f.same(got, want, "replay")
	equal(f.fixture, len(f.due(e.ID, f.at(1000*day))), 0, "due")
	for _, d := range before {
		f.same(f.is(d, d.Status), d, "delivery that was put back")
	}
	f.is(sent, delivery.StatusDelivered)
	equal(f.fixture, f.sweep(f.at(3*time.Hour)), 0, "left to do")
	f.same(f.replayNow(r), want, "replay later")
	equal(f.fixture, f.replay(e, nil).Total, 4, "total of another")
}

func replayCancelledOnItsWay(f *hookFixture) {
	e := f.endpoint()
	tried, fails := f.finished(e, time.Second, delivery.StatusFailed), f.finished(e, 2*time.Second, delivery.StatusSkipped)
	arrives := f.finished(e, 3*time.Second, delivery.StatusFailed)
	r := f.replay(e, nil)
	f.sweep(f.at(time.Hour))
	f.record(f.attempt(tried, f.at(time.Hour)))
	late, early := f.attempt(fails, f.at(time.Hour)), f.ending(arrives, f.at(time.Hour), delivery.StatusDelivered)
	want := f.cancelReplay(r, f.at(2*time.Hour))
	f.record(late, early)
	equal(f.fixture, f.is(tried, delivery.StatusFailed).Attempts, 2, "attempts of what was tried")
	equal(f.fixture, f.is(fails, delivery.StatusSkipped).Attempts, 2, "attempts of what was on its way")
	equal(f.fixture, f.is(arrives, delivery.StatusDelivered).Attempts, 2, "attempts of what arrived")
	equal(f.fixture, len(f.due(e.ID, f.at(1000*day))), 0, "due")
	f.same(f.replayNow(r), want, "replay")
}

func replayEndedStays(f *hookFixture) {
	e := f.endpoint()
	finished := f.replay(e, nil)
	f.sweep(f.at(2 * time.Hour))
	want := f.replayNow(finished)
	f.same(f.cancelReplay(finished, f.at(3*time.Hour)), want, "finished")
	running := f.replay(e, nil)
	cancelled := f.cancelReplay(running, f.at(3*time.Hour))
	f.same(f.cancelReplay(running, f.at(4*time.Hour)), cancelled, "cancelled twice")
	f.finished(e, time.Minute, delivery.StatusFailed)
	equal(f.fixture, f.sweep(f.at(5*time.Hour)), 0, "left to do")
}

func replayWaits(f *hookFixture) {
	e := f.endpoint()
	one := f.finished(e, time.Second, delivery.StatusFailed)
	r := f.replay(e, nil)
	f.update(e, disabled)
	_, err := f.hooks.StartReplay(f.t.Context(), delivery.Replay{ID: newID(f.t), Tenant: tenant, Endpoint: e.ID, CreatedAt: f.now})
	f.mustBe(err, delivery.ErrDisabled, "start a replay of a disabled endpoint")
	equal(f.fixture, f.sweep(f.at(time.Hour)), 0, "pieces")
	equal(f.fixture, f.replayNow(r).Status, delivery.ReplayRunning, "status")
	f.is(one, delivery.StatusFailed)
	f.update(e, func(e *delivery.Endpoint) { e.Disabled = "" })
	f.sweep(f.at(time.Hour))
	f.is(one, delivery.StatusPending)
	f.update(e, disabled)
	f.sweep(f.at(2 * time.Hour))
	f.is(one, delivery.StatusSkipped)
	f.update(e, func(e *delivery.Endpoint) { e.Disabled = "" })
	f.sweep(f.at(3 * time.Hour))
	want := r
	want.Status, want.Queued, want.FinishedAt = delivery.ReplayFinished, 1, f.at(3*time.Hour)
	f.same(f.replayNow(r), want, "replay")
}

func replayWithoutSome(f *hookFixture) {
	e := f.endpoint()
	again, deleted := f.finished(e, time.Second, delivery.StatusFailed), f.finished(e, 2*time.Second, delivery.StatusFailed)
	r := f.replay(e, nil)
	f.sweep(f.at(time.Hour))
	got := f.redeliver(again, f.at(2*time.Hour))
	equal(f.fixture, got.Replay, uuid.Nil, "replay of what was redelivered")
	f.must(f.store.Delete(f.t.Context(), tenant, deleted.Job), "delete a job")
	f.sweep(f.at(3 * time.Hour))
	want := r
	want.Status, want.Queued, want.FinishedAt = delivery.ReplayFinished, 2, f.at(3*time.Hour)
	f.same(f.replayNow(r), want, "replay")
	f.is(again, delivery.StatusPending)
	f.record(f.ending(again, f.at(4*time.Hour), delivery.StatusDelivered))
	f.same(f.replayNow(r), want, "replay that has no part in it")
}

func replaysTogether(f *hookFixture) {
	e, other := f.endpoint(), f.endpoint(others)
	mine, theirs := f.finished(e, time.Second, delivery.StatusFailed), f.finished(other, time.Second, delivery.StatusFailed)
	older := f.finished(e, -day, delivery.StatusFailed)
	first := f.replay(e, func(r *delivery.Replay) { r.Until = f.now })
	second, third := f.replay(e, func(r *delivery.Replay) { r.Since = f.now }), f.replay(other, nil)
	f.sweep(f.at(time.Hour))
	equal(f.fixture, f.is(older, delivery.StatusPending).Replay, first.ID, "replay of the older")
	equal(f.fixture, f.is(mine, delivery.StatusPending).Replay, second.ID, "replay of the newer")
	equal(f.fixture, f.is(theirs, delivery.StatusPending).Replay, third.ID, "replay of the other tenant's")
	f.cancelReplay(second, f.at(time.Hour))
	f.is(older, delivery.StatusPending)
	f.is(theirs, delivery.StatusPending)
	f.is(mine, delivery.StatusFailed)
}

func replayOfOthers(f *hookFixture) {
	ctx, e := f.t.Context(), f.endpoint()
	d := f.finished(e, time.Second, delivery.StatusFailed)
	r := f.replay(e, nil)
	f.sweep(f.at(time.Hour))
	_, err := f.hooks.ReplayByID(ctx, "other", r.ID)
	f.mustBe(err, jobs.ErrNotFound, "read a replay")
	_, err = f.hooks.CancelReplay(ctx, "other", r.ID, f.now)
	f.mustBe(err, jobs.ErrNotFound, "cancel a replay")
	f.is(d, delivery.StatusPending)
	equal(f.fixture, f.replayNow(r).Status, delivery.ReplayRunning, "status")
}

func replaysAreListed(f *hookFixture) {
	e, other := f.endpoint(), f.endpoint()
	f.replay(other, nil)
	var want []uuid.UUID
	for i := range 105 {
		want = append(want, f.replay(e, func(r *delivery.Replay) { r.CreatedAt = f.at(time.Duration(i) * time.Second) }).ID)
	}
	slices.Reverse(want)
	list, err := f.hooks.Replays(f.t.Context(), tenant, e.ID)
	f.must(err, "list replays")
	var got []uuid.UUID
	for _, r := range list {
		got = append(got, r.ID)
	}
	f.inOrder(got, want[:100]...)
}
