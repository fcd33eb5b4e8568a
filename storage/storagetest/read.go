package storagetest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

func readRules() []rule {
	return []rule{
		{"a list is newest first", listIsNewestFirst},
		{"a list goes on after an id", listGoesOn},
		{"a list is filtered by each field", listIsFiltered},
		{"filters add up", filtersAddUp},
		{"a list tells each job as it is, without results", listTellsJobs},
		{"calls are listed oldest first", callsOldestFirst},
		{"standings tell what the jobs tell", standingsAgree},
	}
}

func (f *fixture) list(q jobs.JobQuery) []jobs.Job {
	f.t.Helper()
	q.Tenant = tenant
	if q.Limit == 0 {
		q.Limit = 100
	}
	list, err := f.store.Jobs(f.t.Context(), q)
	f.must(err, "list jobs")
	return list
}

// lists asserts which jobs q selects, in order.
func (f *fixture) lists(q jobs.JobQuery, want ...uuid.UUID) {
	f.t.Helper()
	list := f.list(q)
	got := make([]uuid.UUID, 0, len(list))
	for _, j := range list {
		got = append(got, j.ID)
	}
	if len(got) != len(want) || len(want) > 0 && !reflect.DeepEqual(got, want) {
		f.t.Fatalf("list %+v:\n got %v\nwant %v", q, got, want)
	}
}

func listIsNewestFirst(f *fixture) {
	var ids []uuid.UUID
	for i := range 5 {
		ids = append([]uuid.UUID{f.submit(fmt.Sprint(i)).Job.ID}, ids...)
	}
	f.submit("x", withTenant("other"))
	f.lists(jobs.JobQuery{}, ids...)
	f.lists(jobs.JobQuery{Limit: 2}, ids[:2]...)
}

func listGoesOn(f *fixture) {
	var ids []uuid.UUID
	for i := range 5 {
		ids = append([]uuid.UUID{f.submit(fmt.Sprint(i)).Job.ID}, ids...)
	}
	f.lists(jobs.JobQuery{Before: ids[1], Limit: 2}, ids[2:4]...)
	f.lists(jobs.JobQuery{Before: ids[3], Limit: 2}, ids[4])
	f.lists(jobs.JobQuery{Before: ids[4]})
}

func listIsFiltered(f *fixture) {
	ids := map[jobs.Status]uuid.UUID{}
	for status, end := range f.ways() {
		ids[status] = end(string(status))
	}
	running, _, _ := f.running("running")
	ids[jobs.StatusRunning] = running.ID
	s := f.submission("queued", withPriority(jobs.PriorityLow), withCreated(f.at(time.Hour/2)))
	s.Job.Model = "large"
	s.Job.Metadata = map[string]string{"a": "1", "b": "2"}
	queued := f.keep(s).Job.ID
	ids[jobs.StatusQueued] = queued
	for status, id := range ids {
		f.lists(jobs.JobQuery{Status: status}, id)
	}
	low := jobs.PriorityLow
	f.lists(jobs.JobQuery{Priority: &low}, queued)
	f.lists(jobs.JobQuery{Model: "large"}, queued)
	f.lists(jobs.JobQuery{CreatedAfter: f.at(time.Minute)}, queued)
	equal(f, len(f.list(jobs.JobQuery{CreatedBefore: f.at(time.Minute)})), 5, "jobs created before")
	f.lists(jobs.JobQuery{Metadata: map[string]string{"a": "1"}}, queued)
	f.lists(jobs.JobQuery{Metadata: map[string]string{"a": "1", "b": "2"}}, queued)
	f.lists(jobs.JobQuery{Metadata: map[string]string{"a": "1", "b": "3"}})
	f.lists(jobs.JobQuery{Metadata: map[string]string{`a"}`: "1"}})
	normal := jobs.PriorityNormal
	equal(f, len(f.list(jobs.JobQuery{Priority: &normal})), 5, "jobs of normal priority")
}

func filtersAddUp(f *fixture) {
	high := jobs.PriorityHigh
	var want []uuid.UUID
	for i := range 12 {
		s := f.submission(fmt.Sprint(i), withPriority(jobs.Priorities()[i%2]))
		if i%3 == 0 {
			s.Job.Metadata = map[string]string{"third": "yes"}
		}
		f.keep(s)
		if i%2 == 0 && i%3 == 0 {
			want = append([]uuid.UUID{s.Job.ID}, want...)
		}
	}
	f.lists(jobs.JobQuery{
		Status: jobs.StatusQueued, Priority: &high, Model: "default", Metadata: map[string]string{"third": "yes"},
		CreatedAfter: f.at(-time.Second), CreatedBefore: f.at(time.Second),
	}, want...)
}

func listTellsJobs(f *fixture) {
	for status, end := range f.ways() {
		end(string(status))
	}
	f.running("running")
	f.submit("queued")
	list := f.list(jobs.JobQuery{})
	equal(f, len(list), 6, "jobs")
	for _, got := range list {
		want := f.job(got.ID)
		want.Result = nil
		if !reflect.DeepEqual(got, want) {
			f.t.Fatalf("listed:\n got %+v\nwant %+v", got, want)
		}
	}
}

func callsOldestFirst(f *fixture) {
	job, work, w := f.running("a")
	want := []uuid.UUID{work.Call}
	for i := range 3 {
		f.reschedule(f.retry(work, f.now))
		claim := f.claimOf(f.release(f.now), w)
		claim.At = f.at(time.Duration(i+2) * time.Second)
		var err error
		work, err = f.store.Claim(f.t.Context(), claim)
		f.must(err, "claim")
		want = append(want, claim.Call)
	}
	late := f.submit("a", withCreated(f.at(time.Minute))).Job
	for _, id := range []uuid.UUID{job.ID, late.ID} {
		calls := f.calls(id)
		equal(f, len(calls), len(want), "calls")
		for i, call := range calls {
			equal(f, call.ID, want[i], fmt.Sprintf("call %d", i))
			equal(f, call.Fence, int64(i+1), fmt.Sprintf("fence of call %d", i))
		}
	}
}

func standingsAgree(f *fixture) {
	ended := f.answered("ended", time.Minute)
	waiting, work, _ := f.running("waiting")
	f.reschedule(f.retry(work, time.Now().Add(time.Hour)))
	running, _, _ := f.running("running")
	queued := f.submit("queued").Job
	other := f.submit("other", withTenant("other")).Job
	cancelled := f.submit("cancelled").Job
	f.cancel(cancelled.ID)

	all := []uuid.UUID{running.ID, queued.ID, ended.ID, other.ID, cancelled.ID, waiting.ID}
	got, err := f.store.Standings(f.t.Context(), append(all, newID(f.t)))
	f.must(err, "see how jobs stand")
	equal(f, len(got), len(all), "standings")
	for _, id := range all {
		of := tenant
		if id == other.ID {
			of = "other"
		}
		j := f.jobOf(of, id)
		equal(f, got[id], jobs.Standing{Status: j.Status, WaitingOn: j.WaitingOn}, "standing")
	}
	equal(f, got[running.ID].Status, jobs.StatusRunning, "status of the running job")
	equal(f, got[waiting.ID].WaitingOn, jobs.WaitingOnRetry, "what the waiting job waits on")
}
