package storagetest

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

func retainRules() []rule {
	return []rule{
		{"what is past its retention is deleted, the rest stays", retainDeletes},
		{"without retention all stays", retainNothing},
		{"tenants may have shorter ones", retainByTenant},
		{"a live job is kept", retainLive},
		{"an answer stays for the job that has a copy of it", retainCopied},
		{"an answer stays for the job that it served as a stale one", retainStale},
		{"many are deleted", retainMany},
	}
}

const day = 24 * time.Hour

// madeAt gives the ids that a job and an execution made at the time have.
func madeAt(at time.Time) edit {
	return func(s *jobs.Submission) {
		s.Job.CreatedAt = at
		s.Job.Deadline = at.Add(time.Hour)
		for _, id := range []*uuid.UUID{&s.Job.ID, &s.Execution} {
			ms := at.UnixMilli()
			for i := range 6 {
				id[i] = byte(ms >> (40 - 8*i))
			}
		}
	}
}

// old answers one job that was made so long ago.
func (f *fixture) old(name string, ago time.Duration, edits ...edit) jobs.Job {
	f.t.Helper()
	return f.answered(name, time.Minute-ago, append([]edit{madeAt(f.at(-ago))}, edits...)...)
}

func (f *fixture) retain(r jobs.Retention) int {
	f.t.Helper()
	n, err := f.store.Retain(f.t.Context(), r, f.now)
	f.must(err, "retain")
	return n
}

// past asserts that nothing is left of the job.
func (f *fixture) past(tenant string, id uuid.UUID) {
	f.t.Helper()
	_, err := f.store.Job(f.t.Context(), tenant, id)
	f.mustBe(err, jobs.ErrNotFound, "read a job past its retention")
	_, err = f.store.Events(f.t.Context(), tenant, id)
	f.mustBe(err, jobs.ErrNotFound, "list its events")
}

func retainDeletes(f *fixture) {
	old, young := f.old("a", 31*day), f.old("b", 29*day)
	equal(f, f.retain(jobs.Retention{Default: 30 * day}), 1, "deleted")
	f.past(tenant, old.ID)
	f.kept(young.ID)
	equal(f, f.retain(jobs.Retention{Default: 30 * day}), 0, "deleted again")
	copied := f.submit("a", withMaxAge(1000*day))
	equal(f, copied.Job.Cached, false, "copied what was deleted")
}

func retainNothing(f *fixture) {
	j := f.old("a", 1000*day)
	equal(f, f.retain(jobs.Retention{}), 0, "deleted")
	f.kept(j.ID)
}

func retainByTenant(f *fixture) {
	mine, others := f.old("a", 2*day), f.old("a", 2*day, withTenant("other"))
	f.retain(jobs.Retention{Default: 30 * day, Tenants: map[string]time.Duration{"other": day, "nobody": time.Hour}})
	f.kept(mine.ID)
	f.past("other", others.ID)
	f.retain(jobs.Retention{Tenants: map[string]time.Duration{tenant: day}})
	f.past(tenant, mine.ID)
}

func retainLive(f *fixture) {
	j := f.submit("a", madeAt(f.at(-100*day))).Job
	equal(f, f.retain(jobs.Retention{Default: day, Tenants: map[string]time.Duration{tenant: time.Hour}}), 0, "deleted")
	f.live(j.ID)
}

func retainCopied(f *fixture) {
	old := f.old("a", 31*day)
	copied := f.submit("a", withMaxAge(60*day)).Job
	equal(f, copied.Cached, true, "cached")
	f.retain(jobs.Retention{Default: 30 * day})
	f.past(tenant, old.ID)
	f.kept(copied.ID)
	equal(f, f.submit("a", withMaxAge(60*day)).Job.Cached, true, "cached again")
	f.must(f.store.Delete(f.t.Context(), tenant, copied.ID), "delete the copy")
}

func retainStale(f *fixture) {
	old := f.old("a", 31*day)
	j, w, _ := f.running("a", withStaleIfError(60*day))
	f.finish(f.failure(w, f.at(time.Minute)))
	f.retain(jobs.Retention{Default: 30 * day})
	f.past(tenant, old.ID)
	equal(f, string(f.ended(j.ID, jobs.StatusSucceeded).Result), answer, "result")
}

func retainMany(f *fixture) {
	const many = 1100
	functions := make([]func(), many)
	for i := range functions {
		s := f.submission("a", madeAt(f.at(-50*day)), withoutDedupe)
		functions[i] = func() {
			_, err := f.store.Submit(f.t.Context(), s)
			f.check(err, "submit")
			if i%2 == 0 {
				_, _, err = f.store.Cancel(f.t.Context(), tenant, s.Job.ID, f.at(time.Minute))
				f.check(err, "cancel")
			}
		}
	}
	for chunk := range slices.Chunk(functions, 200) {
		atOnce(chunk...)
	}
	e := f.expire(f.now)
	equal(f, f.retain(jobs.Retention{Default: 30 * day}), many/2+len(e.Ended), "deleted")
}
