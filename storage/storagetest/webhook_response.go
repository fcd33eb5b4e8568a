package storagetest

import (
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func responseRules() []hookRule {
	rules := []hookRule{
		{"a job tells that it is a response", jobTellsResponse},
		{"of the jobs of an execution only responses are told as such", responseBesideOthers},
		{"a response that ended after its deadline has failed", responseExpired},
		{"the end of a response is skipped by who is disabled", responseToDisabled},
		{"the end of a response is sent again as the same event", responseAgain},
		{"what is deleted with its job is not sent as a response's end", responseDeleted},
		{"invariant 9: only the tenant's own endpoints are told of a response", responseOfOthers},
	}
	for _, way := range ends() {
		rules = append(rules, hookRule{
			"invariant 4: every terminal response has its deliveries: " + way.name, func(f *hookFixture) { responseIsTold(f, way) },
		})
		if way.want == jobs.StatusSucceeded {
			rules = append(rules, hookRule{
				"an answer that ended at a bound is incomplete: " + way.name, func(f *hookFixture) {
					f.incomplete = true
					responseIsTold(f, way)
				},
			})
		}
	}
	return rules
}

func asResponse(s *jobs.Submission) { s.Job.Response = true }

// responseIsTold asserts that a response that has ended so is told as a job and as a
// response, each to the endpoints that want it; its own webhook is told of the job.
func responseIsTold(f *hookFixture, w way) {
	asResponseType := jobs.ResponseEventType(w.want, f.incomplete)
	all, origin := f.endpoint(), f.origin()
	jobsAlone, responses := f.endpoint(wantingTypes("job.*")), f.endpoint(wantingTypes("response.*"))
	one := f.endpoint(wantingTypes(asResponseType), wantingMetadata(map[string]string{"a": "b"}))
	f.endpoint(wantingTypes("batch.*"))
	f.endpoint(wantingTypes("response.*"), wantingMetadata(map[string]string{"a": "c"}))
	for _, id := range w.end(f, asResponse, withMetadata(map[string]string{"a": "b"}), withWebhook(origin)) {
		j := f.ended(id, w.want)
		events := f.events(tenant, id)
		asJob, asResponse := f.eventOf(events, jobs.EventType(w.want)), f.eventOf(events, asResponseType)
		want := map[uuid.UUID]jobs.Event{
			delivery.IDOf(asJob.ID, all.ID): asJob, delivery.IDOf(asJob.ID, jobsAlone.ID): asJob, delivery.IDOf(asJob.ID, origin.ID): asJob,
			delivery.IDOf(asResponse.ID, all.ID): asResponse, delivery.IDOf(asResponse.ID, responses.ID): asResponse,
			delivery.IDOf(asResponse.ID, one.ID): asResponse,
		}
		list := f.ofJob(id)
		equal(f.fixture, len(list), len(want), "deliveries")
		for _, d := range list {
			event, ok := want[d.ID]
			equal(f.fixture, ok, true, "delivery of one of the events to who wants it")
			f.same(d, delivery.Delivery{
				ID: d.ID, Tenant: tenant, Endpoint: d.Endpoint, Event: event.ID, Job: id, Type: event.Type, URL: d.URL,
				Status: delivery.StatusPending, Trigger: delivery.TriggerEvent, DueAt: j.FinishedAt, CreatedAt: j.FinishedAt,
			}, "delivery")
		}
	}
}

// ofJob lists the deliveries of a job.
func (f *hookFixture) ofJob(id uuid.UUID) []delivery.Delivery {
	f.t.Helper()
	list, err := f.hooks.Deliveries(f.t.Context(), delivery.Query{Tenant: tenant, Job: id, Limit: 100})
	f.must(err, "list the deliveries of a job")
	return list
}

func jobTellsResponse(f *hookFixture) {
	equal(f.fixture, f.answered("a", time.Minute).Response, false, "response: another job")
	copied := f.submit("a", asResponse, withMaxAge(time.Hour), withCreated(f.at(2*time.Minute))).Job
	equal(f.fixture, copied.Response && f.job(copied.ID).Response, true, "response, of a copy")
	j := f.submit("b", asResponse).Job
	equal(f.fixture, j.Response, true, "response, as it is submitted")
	equal(f.fixture, f.job(j.ID).Response, true, "response, as it is read")
	equal(f.fixture, f.submit("b").Job.Response, false, "response: another job of the execution")
}

func responseBesideOthers(f *hookFixture) {
	e := f.endpoint(wantingTypes("response.*"))
	j, w, _ := f.running("a")
	k := f.submit("a", asResponse).Job
	f.finish(f.success(w, f.at(time.Minute)))
	f.ended(j.ID, jobs.StatusSucceeded)
	f.ended(k.ID, jobs.StatusSucceeded)
	equal(f.fixture, f.one(e).Job, k.ID, "job that is told as a response")
}

func responseExpired(f *hookFixture) {
	f.incomplete = true
	j, w, _ := f.running("a", asResponse, withDeadline(f.at(time.Second)))
	f.submit("a")
	f.finish(f.success(w, f.at(time.Minute)))
	f.ended(j.ID, jobs.StatusExpired)
	f.eventOf(f.events(tenant, j.ID), jobs.EventResponseFailed)
}

func responseToDisabled(f *hookFixture) {
	e := f.endpoint(disabled, wantingTypes("response.*"))
	f.answered("a", time.Minute, asResponse)
	equal(f.fixture, f.one(e).Status, delivery.StatusSkipped, "status")
	f.update(e, func(e *delivery.Endpoint) { e.Disabled = "" })
	r := f.replay(e, func(r *delivery.Replay) { r.Types = []string{jobs.EventResponseCompleted} })
	equal(f.fixture, r.Total, 1, "selected by a replay")
}

func responseAgain(f *hookFixture) {
	e := f.endpoint(wantingTypes("response.*"))
	f.answered("a", time.Minute, asResponse)
	first := f.one(e)
	f.keepBody(first, "body")
	f.record(f.ending(first, f.at(time.Minute), delivery.StatusDelivered))
	again := f.redeliver(first, f.at(time.Hour))
	equal(f.fixture, again.ID, first.ID, "id")
	due := f.due(e.ID, f.at(time.Hour))
	equal(f.fixture, len(due), 1, "due")
	equal(f.fixture, due[0].Job, first.Job, "job")
	equal(f.fixture, due[0].Type, jobs.EventResponseCompleted, "type")
	equal(f.fixture, string(due[0].Body), "body", "body")
}

func responseDeleted(f *hookFixture) {
	e := f.endpoint()
	j := f.answered("a", time.Minute, asResponse)
	equal(f.fixture, len(f.deliveries(e)), 2, "deliveries")
	f.must(f.store.Delete(f.t.Context(), tenant, j.ID), "delete a job")
	equal(f.fixture, len(f.deliveries(e)), 0, "deliveries of what is deleted")
	equal(f.fixture, len(f.due(e.ID, f.at(day))), 0, "due")
}

func responseOfOthers(f *hookFixture) {
	mine, theirs := f.endpoint(wantingTypes("response.*")), f.endpoint(others, wantingTypes("response.*"))
	f.answered("a", time.Minute, asResponse)
	f.one(mine)
	equal(f.fixture, len(f.deliveries(theirs)), 0, "deliveries of another tenant")
}
