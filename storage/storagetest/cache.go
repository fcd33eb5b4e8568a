package storagetest

import (
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func cacheRules() []rule {
	return []rule{
		{"a fresh result is copied", copiesFresh},
		{"a copy says whose answer it is", copyIsWhole},
		{"max_age bounds the age", maxAgeBounds},
		{"the newest result is copied", copiesNewest},
		{"without max_age nothing is copied", withoutMaxAge},
		{"a live execution comes before a copy", liveBeforeCopy},
		{"unless the copy is to come first", copyBeforeLive},
		{"the result of a no_store job is not copied", noStoreIsNotCopied},
		{"nor is one to which a no_store job has attached", attachedNoStoreIsNotCopied},
		{"a failure is not copied", failureIsNotCopied},
		{"invariant 9: another tenant's result is not copied", otherTenantIsNotCopied},
	}
}

// answered runs one execution of the hash to its end at f.at(finished).
func (f *fixture) answered(name string, finished time.Duration, edits ...edit) jobs.Job {
	f.t.Helper()
	job, work, _ := f.running(name, edits...)
	f.finish(f.success(work, f.at(finished)))
	return f.jobOf(job.Tenant, job.ID)
}

func copiesFresh(f *fixture) {
	first := f.answered("a", time.Minute)
	s := f.submission("a", withMaxAge(10*time.Minute), withCreated(f.at(3*time.Minute)))
	got := f.keep(s)
	if got.Ready || got.Replayed || got.Job.Status != jobs.StatusSucceeded {
		f.t.Fatalf("copied: got %+v, want succeeded at once", got)
	}
	j := f.ended(s.Job.ID, jobs.StatusSucceeded)
	if !j.Cached || j.Deduplicated {
		f.t.Fatalf("copied: got cached %v, deduplicated %v, want true, false", j.Cached, j.Deduplicated)
	}
	equal(f, j.Age, 2*time.Minute, "age")
	equal(f, j.FinishedAt, f.at(3*time.Minute), "finished at")
	equal(f, j.ExecutionID, first.ExecutionID, "execution")
	equal(f, string(j.Result), answer, "result")
	equal(f, string(got.Job.Result), answer, "result at once")
	if j.CostUSD == nil || *j.CostUSD != 0 {
		f.t.Fatalf("cost of a copy: got %v, want 0", j.CostUSD)
	}
}

func copyIsWhole(f *fixture) {
	first := f.answered("a", time.Minute)
	copied := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(2*time.Minute))).Job
	equal(f, copied.Provider, first.Provider, "provider")
	equal(f, copied.Usage, first.Usage, "usage")
	equal(f, len(f.calls(copied.ID)), 0, "calls: those of the first are not the copy's")
	request, err := f.store.Request(f.t.Context(), tenant, copied.ID)
	f.must(err, "read the copy's request")
	equal(f, string(request.Body), string(f.submission("a").Request.Body), "request")
	equal(f, len(f.ready(jobs.PriorityNormal, f.at(time.Hour))), 0, "ready executions")
}

func maxAgeBounds(f *fixture) {
	f.answered("a", 0)
	old := f.submit("a", withMaxAge(time.Minute), withCreated(f.at(time.Minute)), withoutDedupe).Job
	equal(f, old.Cached, false, "copied at max_age")
	young := f.submit("a", withMaxAge(time.Minute), withCreated(f.at(time.Minute-time.Second)), withoutDedupe).Job
	equal(f, young.Cached, true, "copied before max_age")
}

func copiesNewest(f *fixture) {
	f.answered("a", time.Minute)
	second := f.answered("a", 5*time.Minute, withCreated(f.at(2*time.Minute)))
	copied := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(6*time.Minute))).Job
	equal(f, copied.ExecutionID, second.ExecutionID, "execution")
	equal(f, copied.Age, time.Minute, "age")
}

func withoutMaxAge(f *fixture) {
	f.answered("a", time.Minute)
	equal(f, f.submit("a", withCreated(f.at(time.Minute))).Job.Cached, false, "cached")
}

func liveBeforeCopy(f *fixture) {
	f.answered("a", time.Minute)
	live := f.submit("a", withCreated(f.at(time.Minute))).Job
	s := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(2*time.Minute)))
	equal(f, s.Job.Cached, false, "cached")
	equal(f, s.Job.ExecutionID, live.ExecutionID, "execution")
	alone := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(2*time.Minute)), withoutDedupe)
	equal(f, alone.Job.Cached, true, "cached, without dedupe")
}

func copyBeforeLive(f *fixture) {
	first := f.answered("a", time.Minute)
	live := f.submit("a", withCreated(f.at(2*time.Minute)))
	equal(f, live.Job.Cached, false, "without max_age: cached")
	copyFirst := func(s *jobs.Submission) { s.CopyFirst = true }
	copied := f.submit("a", copyFirst, withMaxAge(time.Hour), withCreated(f.at(3*time.Minute)))
	equal(f, copied.Job.Cached, true, "cached")
	equal(f, copied.Job.ExecutionID, first.ExecutionID, "execution")
	stale := f.submit("a", copyFirst, withMaxAge(time.Minute), withCreated(f.at(3*time.Minute)))
	equal(f, stale.Job.Deduplicated, true, "without a fresh result: deduplicated")
	equal(f, stale.Job.ExecutionID, live.Job.ExecutionID, "execution")
}

func noStoreIsNotCopied(f *fixture) {
	f.answered("a", time.Minute, withNoStore)
	s := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(2*time.Minute)))
	if s.Job.Cached || !s.Ready {
		f.t.Fatalf("after a no_store job: got %+v, want a new execution", s)
	}
}

func attachedNoStoreIsNotCopied(f *fixture) {
	_, work, _ := f.running("a")
	f.submit("a", withNoStore)
	f.finish(f.success(work, f.at(time.Minute)))
	s := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(2*time.Minute)))
	if s.Job.Cached || !s.Ready {
		f.t.Fatalf("after a no_store job had attached: got %+v, want a new execution", s)
	}
}

func failureIsNotCopied(f *fixture) {
	_, work, _ := f.running("a")
	f.finish(f.failure(work, f.at(time.Minute)))
	s := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(2*time.Minute)))
	if s.Job.Cached || !s.Ready {
		f.t.Fatalf("after a failure: got %+v, want a new execution", s)
	}
}

func otherTenantIsNotCopied(f *fixture) {
	f.answered("a", time.Minute, withTenant("other"))
	s := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(2*time.Minute)))
	if s.Job.Cached || !s.Ready {
		f.t.Fatalf("another tenant's answer: got %+v, want a new execution", s)
	}
}
