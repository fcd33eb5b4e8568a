package storagetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func endRules() []hookRule {
	rules := []hookRule{
		{"what is delivered of an end", endDelivery},
		{"an endpoint gets the types that it wants", endByType},
		{"an endpoint gets what has its metadata", endByMetadata},
		{"a job's own webhook is told, whatever it is", endToWebhook},
		{"a job's webhook is kept, and attaching changes none", webhookIsKept},
		{"a job's webhook is not told once what stands for it is deleted", endToNoWebhook},
		{"what is for a disabled endpoint is skipped from the start", endToDisabled},
		{"a delivery is due as the schedule says", endIsDueBySchedule},
		{"invariant 9: only the tenant's own endpoints are told", endOfOthers},
		{"an endpoint made later is not told of what was before", endBeforeEndpoint},
		{"ids of deliveries follow from event and endpoint", endHasID},
		{"what is deleted with its job is not sent", endOfDeleted},
	}
	for _, way := range ends() {
		rules = append(rules, hookRule{
			"invariant 4: every terminal job has its deliveries: " + way.name, func(f *hookFixture) { endIsTold(f, way) },
		})
	}
	return rules
}

func withMetadata(m map[string]string) edit { return func(s *jobs.Submission) { s.Job.Metadata = m } }

func withWebhook(e delivery.Endpoint) edit {
	return func(s *jobs.Submission) { s.Job.Webhook = jobs.Webhook{URL: e.URL + "/told", Endpoint: e.ID} }
}

// way is one in which a job ends.
type way struct {
	name string
	want jobs.Status
	// end ends some jobs that it makes with the edits.
	end func(f *hookFixture, edits ...edit) []uuid.UUID
}

func ends() []way {
	return []way{
		{"success", jobs.StatusSucceeded, func(f *hookFixture, edits ...edit) []uuid.UUID {
			j, w, _ := f.running("a", edits...)
			k := f.submit("a", edits...).Job
			f.finish(f.success(w, f.at(time.Minute)))
			return []uuid.UUID{j.ID, k.ID}
		}},
		{"failure", jobs.StatusFailed, func(f *hookFixture, edits ...edit) []uuid.UUID {
			j, w, _ := f.running("a", edits...)
			f.finish(f.failure(w, f.at(time.Minute)))
			return []uuid.UUID{j.ID}
		}},
		{"answered after its deadline", jobs.StatusExpired, func(f *hookFixture, edits ...edit) []uuid.UUID {
			j, w, _ := f.running("a", append(edits, withDeadline(f.at(time.Second)))...)
			f.submit("a")
			f.finish(f.success(w, f.at(time.Minute)))
			return []uuid.UUID{j.ID}
		}},
		{"expiry", jobs.StatusExpired, func(f *hookFixture, edits ...edit) []uuid.UUID {
			j := f.submit("a", append(edits, withDeadline(f.at(time.Second)))...).Job
			k := f.submit("b", append(edits, withDeadline(f.at(time.Second)))...).Job
			f.submit("b")
			f.expire(f.at(time.Minute))
			return []uuid.UUID{j.ID, k.ID}
		}},
		{"cancellation", jobs.StatusCancelled, func(f *hookFixture, edits ...edit) []uuid.UUID {
			j := f.submit("a", edits...).Job
			f.cancel(j.ID)
			return []uuid.UUID{j.ID}
		}},
		{"cancellation of one of several", jobs.StatusCancelled, func(f *hookFixture, edits ...edit) []uuid.UUID {
			j := f.submit("a", edits...).Job
			f.submit("a")
			f.cancel(j.ID)
			return []uuid.UUID{j.ID}
		}},
		{"given up", jobs.StatusFailed, func(f *hookFixture, edits ...edit) []uuid.UUID {
			j := f.submit("a", append(edits, failing)...).Job
			f.giveUp(f.at(time.Second))
			return []uuid.UUID{j.ID}
		}},
		{"given what is stored", jobs.StatusSucceeded, func(f *hookFixture, edits ...edit) []uuid.UUID {
			f.answered("a", time.Second)
			j := f.submit("a", append(edits, degrading)...).Job
			f.giveUp(f.at(time.Minute))
			return []uuid.UUID{j.ID}
		}},
		{"a stale answer", jobs.StatusSucceeded, func(f *hookFixture, edits ...edit) []uuid.UUID {
			_, j, w, _ := f.failing(edits...)
			f.finish(f.failure(w, f.at(4*time.Minute)))
			return []uuid.UUID{j.ID}
		}},
		{"a copy at submission", jobs.StatusSucceeded, func(f *hookFixture, edits ...edit) []uuid.UUID {
			f.answered("a", time.Second)
			j := f.submit("a", append(edits, withMaxAge(time.Hour), withCreated(f.at(time.Minute)))...).Job
			return []uuid.UUID{j.ID}
		}},
		{"poisoning", jobs.StatusFailed, func(f *hookFixture, edits ...edit) []uuid.UUID {
			j := f.submit("a", edits...).Job
			for range jobs.MaxCrashes {
				f.crash()
			}
			return []uuid.UUID{j.ID}
		}},
		{"erasure", jobs.StatusFailed, func(f *hookFixture, edits ...edit) []uuid.UUID {
			k := &keyFixture{fixture: f.fixture, keys: f.keys}
			key := k.add(k.key(tenant, "one"), uuid.Nil)
			j := f.submit("a", append(edits, sealedWith(key.ID))...).Job
			k.erase(tenant)
			return []uuid.UUID{j.ID}
		}},
	}
}

// endIsTold asserts that a job that has ended so has its event and of that a delivery to
// each endpoint that wants it.
func endIsTold(f *hookFixture, w way) {
	all, origin := f.endpoint(), f.origin()
	some := f.endpoint(wantingTypes(jobs.EventType(w.want)), wantingMetadata(map[string]string{"a": "b"}))
	f.endpoint(wantingTypes(delivery.LaneOpened))
	f.endpoint(wantingMetadata(map[string]string{"a": "c"}))
	f.endpoint(others)
	for _, job := range w.end(f, withMetadata(map[string]string{"a": "b", "c": "d"}), withWebhook(origin)) {
		j := f.ended(job, w.want)
		event := f.events(tenant, job)[0]
		list, err := f.hooks.Deliveries(f.t.Context(), delivery.Query{Tenant: tenant, Job: job, Limit: 10})
		f.must(err, "list the deliveries of a job")
		want := map[uuid.UUID]string{all.ID: "", some.ID: "", origin.ID: origin.URL + "/told"}
		equal(f.fixture, len(list), len(want), "deliveries")
		for _, d := range list {
			url, ok := want[d.Endpoint]
			equal(f.fixture, ok, true, "wanted by the endpoint")
			f.same(d, delivery.Delivery{
				ID: delivery.IDOf(event.ID, d.Endpoint), Tenant: tenant, Endpoint: d.Endpoint, Event: event.ID, Job: job,
				Type: event.Type, URL: url, Status: delivery.StatusPending, Trigger: delivery.TriggerEvent, DueAt: j.FinishedAt,
				CreatedAt: j.FinishedAt,
			}, "delivery")
			equal(f.fixture, slices.Contains(dueIDs(f.due(d.Endpoint, j.FinishedAt)), d.ID), true, "due")
		}
	}
}

func endDelivery(f *hookFixture) {
	e := f.endpoint()
	d := f.told(e, time.Minute)
	got, attempts := f.deliveryNow(d)
	f.same(got, d, "delivery")
	equal(f.fixture, len(attempts), 0, "attempts")
	due := f.due(e.ID, f.at(time.Minute))
	equal(f.fixture, len(due), 1, "due")
	f.same(due[0], delivery.Due{Delivery: d}, "due")
}

func endByType(f *hookFixture) {
	wants := map[uuid.UUID]int{}
	count := func(want int, types ...string) { wants[f.endpoint(wantingTypes(types...)).ID] = want }
	count(2)
	count(2, "*")
	count(2, "job.*")
	count(1, delivery.JobSucceeded)
	count(2, delivery.JobSucceeded, delivery.JobCancelled)
	count(0, "lane.*", delivery.EndpointFailing, delivery.JobExpired)
	f.answered("a", time.Minute)
	f.cancel(f.submit("b").Job.ID)
	for id, want := range wants {
		e := f.watched(tenant, id).Endpoint
		equal(f.fixture, len(f.deliveries(e)), want, "deliveries to who wants "+fmt.Sprint(e.Types))
	}
}

func endByMetadata(f *hookFixture) {
	one, two := f.endpoint(wantingMetadata(map[string]string{"a": "1"})), f.endpoint(wantingMetadata(map[string]string{"a": "1", "b": ""}))
	f.answered("none", time.Minute)
	f.answered("other", time.Minute, withMetadata(map[string]string{"a": "2", "b": ""}))
	f.answered("first", time.Minute, withMetadata(map[string]string{"a": "1", "c": "3"}))
	equal(f.fixture, len(f.deliveries(one)), 1, "deliveries of one pair")
	equal(f.fixture, len(f.deliveries(two)), 0, "deliveries of two pairs")
	f.answered("both", time.Minute, withMetadata(map[string]string{"a": "1", "b": ""}))
	equal(f.fixture, len(f.deliveries(one)), 2, "deliveries of one pair")
	equal(f.fixture, len(f.deliveries(two)), 1, "deliveries of two pairs")
}

func endToWebhook(f *hookFixture) {
	origin := f.origin(wantingTypes(delivery.LaneOpened), wantingMetadata(map[string]string{"a": "b"}))
	f.answered("without", time.Minute)
	equal(f.fixture, len(f.deliveries(origin)), 0, "deliveries of a job without webhook")
	j, w, _ := f.running("a", withWebhook(origin))
	k := f.submit("a", func(s *jobs.Submission) {
		s.Job.Webhook = jobs.Webhook{URL: "https://example.com/k", Endpoint: origin.ID}
	}).Job
	f.finish(f.success(w, f.at(time.Minute)))
	got := map[uuid.UUID]string{}
	for _, d := range f.deliveries(origin) {
		got[d.Job] = d.URL
	}
	f.same(got, map[uuid.UUID]string{j.ID: origin.URL + "/told", k.ID: "https://example.com/k"}, "where the jobs are told")
}

func webhookIsKept(f *hookFixture) {
	origin := f.origin()
	j := f.submit("a", withWebhook(origin)).Job
	want := jobs.Webhook{URL: origin.URL + "/told", Endpoint: origin.ID}
	equal(f.fixture, f.job(j.ID).Webhook, want, "webhook")
	equal(f.fixture, f.submit("a").Job.Webhook, jobs.Webhook{}, "webhook of one that attached")
	equal(f.fixture, f.submit("a", withWebhook(origin)).Job.Webhook, want, "webhook of another")
	got, _ := f.cancel(j.ID)
	equal(f.fixture, got.Webhook, want, "webhook of a cancelled one")
	list, err := f.store.Jobs(f.t.Context(), jobs.JobQuery{Tenant: tenant, Status: jobs.StatusCancelled, Limit: 1})
	f.must(err, "list jobs")
	equal(f.fixture, list[0].Webhook, want, "webhook in a list")
}

func endToNoWebhook(f *hookFixture) {
	origin := f.origin()
	j, w, _ := f.running("a", withWebhook(origin))
	f.must(f.hooks.DeleteEndpoint(f.t.Context(), tenant, origin.ID), "delete an endpoint")
	f.finish(f.success(w, f.at(time.Minute)))
	f.ended(j.ID, jobs.StatusSucceeded)
	list, err := f.hooks.Deliveries(f.t.Context(), delivery.Query{Tenant: tenant, Job: j.ID, Limit: 1})
	f.must(err, "list deliveries")
	equal(f.fixture, len(list), 0, "deliveries")
}

func endToDisabled(f *hookFixture) {
	e, origin := f.endpoint(disabled), f.origin(disabled)
	j := f.answered("a", time.Minute, withWebhook(origin))
	for _, e := range []delivery.Endpoint{e, origin} {
		d := f.one(e)
		equal(f.fixture, d.Status, delivery.StatusSkipped, "status")
		equal(f.fixture, d.FinishedAt, j.FinishedAt, "finished at")
		equal(f.fixture, d.DueAt.IsZero(), true, "due at: never")
		equal(f.fixture, len(f.due(e.ID, f.at(day))), 0, "due")
	}
}

func endIsDueBySchedule(f *hookFixture) {
	e := f.endpoint(scheduled(time.Hour, time.Second))
	d := f.told(e, time.Minute)
	equal(f.fixture, d.DueAt, f.at(time.Hour+time.Minute), "due at")
	equal(f.fixture, d.CreatedAt, f.at(time.Minute), "created at")
	equal(f.fixture, len(f.due(e.ID, f.at(time.Hour))), 0, "due before")
	equal(f.fixture, len(f.due(e.ID, f.at(time.Hour+time.Minute))), 1, "due")
}

func endOfOthers(f *hookFixture) {
	mine, theirs, origin := f.endpoint(), f.endpoint(others), f.origin(others)
	f.answered("a", time.Minute, withWebhook(origin))
	equal(f.fixture, len(f.deliveries(mine)), 1, "deliveries of the tenant")
	equal(f.fixture, len(f.deliveries(theirs)), 0, "deliveries of another")
	equal(f.fixture, len(f.deliveries(origin)), 0, "deliveries of what another's jobs name")
}

func endBeforeEndpoint(f *hookFixture) {
	f.answered("a", time.Minute)
	e := f.endpoint()
	equal(f.fixture, len(f.deliveries(e)), 0, "deliveries")
}

func endHasID(f *hookFixture) {
	e := f.endpoint()
	for _, at := range []time.Duration{-40 * day, -time.Hour, 3 * time.Hour} {
		d := f.told(e, at, madeAt(f.at(at-time.Minute)))
		equal(f.fixture, d.ID, delivery.IDOf(d.Event, e.ID), "id")
		sec, nsec := d.Event.Time().UnixTime()
		equal(f.fixture, time.Unix(sec, nsec).UTC(), f.at(at).Truncate(time.Millisecond), "time of the event's id")
	}
}

func endOfDeleted(f *hookFixture) {
	e := f.endpoint()
	pending, tried, delivered := f.told(e, time.Minute), f.told(e, time.Minute), f.told(e, time.Minute)
	old, stays := f.told(e, time.Minute-31*day, madeAt(f.at(-31*day))), f.told(e, time.Minute)
	f.record(f.attempt(tried, f.now), f.ending(delivered, f.now, delivery.StatusDelivered))
	f.keepBody(pending, "body")
	f.keepBody(tried, "body")
	for _, d := range []delivery.Delivery{pending, tried, delivered} {
		f.must(f.store.Delete(f.t.Context(), tenant, d.Job), "delete a job")
		f.gone(d)
	}
	equal(f.fixture, f.retain(jobs.Retention{Default: 30 * day}), 1, "deleted")
	f.gone(old)
	f.inOrder(dueIDs(f.due(e.ID, f.at(day))), stays.ID)
	f.record(f.lateFor(pending), f.lateFor(old)) // they were on their way
	f.gone(pending)
	f.keepBody(pending, "late")
	f.gone(pending)
}

// lateFor returns an attempt of a delivery that is not there any more.
func (f *hookFixture) lateFor(d delivery.Delivery) delivery.Record {
	return delivery.Record{
		Attempt: delivery.Attempt{Verdict: delivery.Delivered, Status: 200}, Delivery: d.ID, Endpoint: d.Endpoint, Tenant: d.Tenant,
		N: 1, Trigger: delivery.TriggerEvent, At: f.now, Status: delivery.StatusDelivered,
	}
}
