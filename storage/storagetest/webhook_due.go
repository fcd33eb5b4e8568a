package storagetest

import (
	"reflect"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

func dueRules() []hookRule {
	return []hookRule{
		{"the longest due comes first, then the lesser id", dueInOrder},
		{"a replay waits for all else", dueBulkLast},
		{"limit bounds what is due, over both kinds", dueLimit},
		{"nothing is due of a disabled endpoint", dueOfDisabled},
		{"jobs that have ended are told of whole", endedJobs},
		{"the first body is kept", firstBodyIsKept},
		{"a body is sent at each attempt", bodyIsDue},
		{"a body is kept of what is pending alone", bodyOfPending},
		{"what an event of no job tells is due with it", dataIsDue},
	}
}

func dueInOrder(f *hookFixture) {
	e := f.endpoint()
	f.endpoint() // has the same
	late, early := f.told(e, 2*time.Minute), f.told(e, time.Minute)
	same := []uuid.UUID{f.told(e, 3*time.Minute).ID, f.told(e, 3*time.Minute).ID, f.told(e, 3*time.Minute).ID}
	slices.SortFunc(same, func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	tried := f.told(e, time.Second)
	f.record(f.attempt(tried, f.at(9*time.Minute))) // due at ten
	f.record(f.ending(f.told(e, time.Second), f.now, delivery.StatusDelivered))
	f.inOrder(dueIDs(f.due(e.ID, f.at(time.Second))))
	f.inOrder(dueIDs(f.due(e.ID, f.at(2*time.Minute))), early.ID, late.ID)
	f.inOrder(dueIDs(f.due(e.ID, f.at(10*time.Minute))), append(append([]uuid.UUID{early.ID, late.ID}, same...), tried.ID)...)
}

// replayed makes three deliveries that have failed pending again, and returns them in
// their order.
func (f *hookFixture) replayed(e delivery.Endpoint) []uuid.UUID {
	f.t.Helper()
	var ids []uuid.UUID
	for i := range 3 {
		d := f.told(e, time.Duration(i)*time.Second)
		f.record(f.ending(d, f.at(time.Minute), delivery.StatusFailed))
		ids = append(ids, d.ID)
	}
	f.replay(e, nil)
	f.sweep(f.at(2 * time.Minute))
	return ids
}

func dueBulkLast(f *hookFixture) {
	e := f.endpoint()
	bulk := f.replayed(e)
	later := f.told(e, time.Hour)
	f.inOrder(dueIDs(f.due(e.ID, f.at(2*time.Minute))), bulk...)
	f.inOrder(dueIDs(f.due(e.ID, f.at(time.Hour))), append([]uuid.UUID{later.ID}, bulk...)...)
}

func dueLimit(f *hookFixture) {
	e := f.endpoint()
	bulk := f.replayed(e)
	all := append([]uuid.UUID{f.told(e, 3*time.Minute).ID, f.told(e, 4*time.Minute).ID}, bulk...)
	for limit := 1; limit <= len(all)+1; limit++ {
		due, err := f.hooks.Due(f.t.Context(), e.ID, f.at(time.Hour), limit)
		f.must(err, "list what is due")
		f.inOrder(dueIDs(due), all[:min(limit, len(all))]...)
	}
}

func dueOfDisabled(f *hookFixture) {
	e := f.endpoint()
	f.told(e, time.Minute)
	f.update(e, disabled)
	equal(f.fixture, len(f.due(e.ID, f.at(time.Hour))), 0, "due")
	equal(f.fixture, len(f.due(newID(f.t), f.at(time.Hour))), 0, "due of none")
}

func endedJobs(f *hookFixture) {
	one := f.answered("a", time.Minute, withMetadata(map[string]string{"a": "b"}))
	two := f.answered("b", time.Minute, withTenant("other"))
	cancelled, _ := f.cancel(f.submit("c").Job.ID)
	deleted := f.answered("e", time.Minute)
	live := f.submit("d").Job
	f.must(f.store.Delete(f.t.Context(), tenant, deleted.ID), "delete a job")
	for _, results := range []bool{true, false} {
		got, err := f.hooks.EndedJobs(f.t.Context(), []uuid.UUID{
			one.ID, two.ID, cancelled.ID, live.ID, deleted.ID, newID(f.t),
		}, results)
		f.must(err, "read ended jobs")
		equal(f.fixture, len(got), 3, "jobs")
		for _, want := range []jobs.Job{one, two, cancelled} {
			if !results {
				want.Result = nil
			}
			if j := got[want.ID]; !reflect.DeepEqual(j, want) {
				f.t.Fatalf("job:\n got %+v\nwant %+v", j, want)
			}
		}
	}
	got, err := f.hooks.EndedJobs(f.t.Context(), nil, true)
	f.must(err, "read no jobs")
	equal(f.fixture, len(got), 0, "jobs")
}

// keepBody keeps a delivery's body, and returns the one that it had before.
func (f *hookFixture) keepBody(d delivery.Delivery, body string) (string, bool) {
	f.t.Helper()
	before, err := f.hooks.KeepBodies(f.t.Context(), []delivery.Body{bodyOf(d, body)})
	f.must(err, "keep a body")
	return string(before[d.ID]), before[d.ID] != nil
}

func bodyOf(d delivery.Delivery, body string) delivery.Body {
	return delivery.Body{Delivery: d.ID, Endpoint: d.Endpoint, Tenant: d.Tenant, Body: []byte(body), KeyID: uuid.New()}
}

func firstBodyIsKept(f *hookFixture) {
	e := f.endpoint()
	one, two, three := f.told(e, time.Minute), f.told(e, 2*time.Minute), f.told(e, 3*time.Minute)
	if _, ok := f.keepBody(one, "\x00first\xff"); ok {
		f.t.Fatal("a body was there before the first")
	}
	got, err := f.hooks.KeepBodies(f.t.Context(), []delivery.Body{bodyOf(one, "second"), bodyOf(two, "of two")})
	f.must(err, "keep bodies")
	f.same(got, map[uuid.UUID][]byte{one.ID: []byte("\x00first\xff")}, "bodies that were there before")
	var bodies []string
	for _, d := range f.due(e.ID, f.at(time.Hour)) {
		bodies = append(bodies, string(d.Body))
	}
	f.same(bodies, []string{"\x00first\xff", "of two", ""}, "bodies")
	equal(f.fixture, f.due(e.ID, f.at(time.Hour))[2].Body == nil, true, "no body of "+three.ID.String())
	_, err = f.hooks.KeepBodies(f.t.Context(), []delivery.Body{bodyOf(three, "of three"), bodyOf(three, "again")})
	f.must(err, "keep two bodies of one")
	equal(f.fixture, string(f.due(e.ID, f.at(time.Hour))[2].Body), "of three", "body")
}

func bodyIsDue(f *hookFixture) {
	e := f.endpoint()
	d := f.told(e, time.Minute)
	f.keepBody(d, "body")
	f.record(f.attempt(d, f.at(time.Minute)))
	equal(f.fixture, string(f.due(e.ID, f.at(time.Hour))[0].Body), "body", "body after an attempt")
	f.record(f.ending(d, f.at(time.Minute), delivery.StatusDelivered))
	f.redeliver(d, f.at(2*time.Minute))
	equal(f.fixture, string(f.due(e.ID, f.at(time.Hour))[0].Body), "body", "body of what is redelivered")
	before, ok := f.keepBody(d, "other")
	equal(f.fixture, ok, true, "there before")
	equal(f.fixture, before, "body", "body before")
}

func bodyOfPending(f *hookFixture) {
	e := f.endpoint()
	d := f.told(e, time.Minute)
	f.record(f.ending(d, f.at(time.Minute), delivery.StatusSkipped))
	if _, ok := f.keepBody(d, "late"); ok {
		f.t.Fatal("a body was there before the first")
	}
	f.redeliver(d, f.at(2*time.Minute))
	equal(f.fixture, f.due(e.ID, f.at(time.Hour))[0].Body == nil, true, "no body was kept")
}

func dataIsDue(f *hookFixture) {
	e := f.endpoint()
	v := f.event()
	_, err := f.hooks.Tell(f.t.Context(), v)
	f.must(err, "tell")
	d := f.told(e, time.Minute)
	due := f.due(e.ID, f.at(time.Hour))
	f.inOrder(dueIDs(due), delivery.IDOf(v.ID, e.ID), d.ID)
	equal(f.fixture, string(due[0].Data), string(v.Data), "data")
	equal(f.fixture, due[0].Job, uuid.Nil, "job")
	equal(f.fixture, due[1].Data == nil, true, "no data of a job's event")
}
