package storagetest

import (
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func staleRules() []rule {
	return []rule{
		{"a stale answer serves a job whose execution failed", staleServesFailed},
		{"a stale answer serves a job whose deadline passed", staleServesExpired},
		{"a stale answer serves a job of a poisoned execution", staleServesPoisoned},
		{"only jobs that would take a stale answer get one", staleServesTheWilling},
		{"stale_if_error bounds the age", staleIfErrorBounds},
		{"a cancelled job is not served", staleNotForCancelled},
		{"a success needs no stale answer", staleNotForSucceeded},
		{"no stale answer of a no_store job, nor of a failure", staleNotOfNoStore},
		{"invariant 9: another tenant's answer does not serve", staleNotOfOthers},
		{"a stale answer stays until its last job is deleted", staleStaysWithItsJobs},
		{"a repeated finish tells of those it served", staleFinishRepeats},
	}
}

func withStaleIfError(d time.Duration) edit { return func(s *jobs.Submission) { s.StaleIfError = d } }

// failing answers the hash at one minute, and returns a job and a run for it that
// began at three, to be failed.
func (f *fixture) failing(edits ...edit) (earlier, j jobs.Job, w jobs.Work, by jobs.Worker) {
	f.t.Helper()
	earlier = f.answered("a", time.Minute)
	edits = append([]edit{withCreated(f.at(3 * time.Minute)), withStaleIfError(time.Hour)}, edits...)
	j, w, by = f.running("a", edits...)
	return earlier, j, w, by
}

// served asserts that the job was served by the earlier one's answer.
func (f *fixture) served(j, earlier jobs.Job) jobs.Job {
	f.t.Helper()
	got := f.ended(j.ID, jobs.StatusSucceeded)
	equal(f, string(got.Result), answer, "result")
	equal(f, got.Cached, true, "cached")
	equal(f, got.Age, 2*time.Minute, "age")
	equal(f, got.Provider, earlier.Provider, "provider")
	equal(f, got.Usage, earlier.Usage, "usage")
	equal(f, got.ExecutionID, j.ExecutionID, "execution: its own")
	equal(f, got.AnswerOf, earlier.ExecutionID, "answer of")
	if got.Error != nil {
		f.t.Fatalf("served job: got error %+v, want none", got.Error)
	}
	return got
}

func staleServesFailed(f *fixture) {
	earlier, j, w, _ := f.failing()
	equal(f, j.Cached, false, "cached before it ends")
	o := f.failure(w, f.at(4*time.Minute))
	o.Call.CostUSD = usd(7)
	f.sameIDs(f.finish(o), j.ID)
	got := f.served(j, earlier)
	equal(f, got.Tries, 1, "tries: its own")
	equal(f, got.FinishedAt, f.at(4*time.Minute), "finished at")
	if got.CostUSD == nil || *got.CostUSD != 7 {
		f.t.Fatalf("cost: got %v, want that of its own calls, 7", got.CostUSD)
	}
	calls := f.calls(j.ID)
	if len(calls) != 1 || calls[0].Execution != j.ExecutionID {
		f.t.Fatalf("calls: got %+v, want the one of its own execution", calls)
	}
}

func staleServesExpired(f *fixture) {
	earlier := f.answered("a", time.Minute)
	j := f.submit("a", withCreated(f.at(3*time.Minute)), withStaleIfError(time.Hour)).Job
	e := f.expire(j.Deadline)
	f.sameIDs(e.Ended, j.ID)
	f.served(j, earlier)
}

func staleServesPoisoned(f *fixture) {
	earlier, j, _, w := f.failing()
	for range jobs.MaxCrashes - 1 {
		_, err := f.store.Reclaim(f.t.Context(), w, f.at(4*time.Minute))
		f.must(err, "reclaim")
		w = f.worker()
		f.claim(f.release(f.at(4*time.Minute)), w)
	}
	got, err := f.store.Reclaim(f.t.Context(), w, f.at(4*time.Minute))
	f.must(err, "reclaim")
	f.sameIDs(got.Ended, j.ID)
	f.served(j, earlier)
}

func staleServesTheWilling(f *fixture) {
	earlier, j, w, _ := f.failing()
	unwilling := f.submit("a", withCreated(f.at(3*time.Minute))).Job
	short := f.submit("a", withCreated(f.at(3*time.Minute)), withStaleIfError(time.Minute)).Job
	due := f.submit("a", withCreated(f.at(3*time.Minute)), withStaleIfError(time.Hour), withDeadline(f.at(4*time.Minute))).Job
	f.sameIDs(f.finish(f.failure(w, f.at(5*time.Minute))), j.ID, unwilling.ID, short.ID, due.ID)
	f.served(j, earlier)
	f.served(due, earlier)
	f.ended(unwilling.ID, jobs.StatusFailed)
	f.ended(short.ID, jobs.StatusFailed)
}

func staleIfErrorBounds(f *fixture) {
	_, j, w, _ := f.failing(withStaleIfError(2 * time.Minute))
	f.finish(f.failure(w, f.at(4*time.Minute)))
	got := f.ended(j.ID, jobs.StatusFailed)
	equal(f, got.Cached, false, "cached")
	if got.Error == nil {
		f.t.Fatal("failed job: got no error")
	}
}

func staleNotForCancelled(f *fixture) {
	_, j, _, _ := f.failing()
	f.cancel(j.ID)
	f.ended(j.ID, jobs.StatusCancelled)
}

func staleNotForSucceeded(f *fixture) {
	_, j, w, _ := f.failing()
	f.finish(f.success(w, f.at(4*time.Minute)))
	equal(f, f.ended(j.ID, jobs.StatusSucceeded).Cached, false, "cached")
}

func staleNotOfNoStore(f *fixture) {
	f.answered("a", time.Minute, withNoStore)
	_, failed, _ := f.running("a")
	f.finish(f.failure(failed, f.at(2*time.Minute)))
	j, w, _ := f.running("a", withCreated(f.at(3*time.Minute)), withStaleIfError(time.Hour))
	f.finish(f.failure(w, f.at(4*time.Minute)))
	f.ended(j.ID, jobs.StatusFailed)
}

func staleNotOfOthers(f *fixture) {
	f.answered("a", time.Minute, withTenant("other"))
	j, w, _ := f.running("a", withCreated(f.at(3*time.Minute)), withStaleIfError(time.Hour))
	f.finish(f.failure(w, f.at(4*time.Minute)))
	f.ended(j.ID, jobs.StatusFailed)
}

func staleStaysWithItsJobs(f *fixture) {
	earlier, j, w, _ := f.failing()
	f.finish(f.failure(w, f.at(4*time.Minute)))
	f.must(f.store.Delete(f.t.Context(), tenant, earlier.ID), "delete the earlier job")
	f.served(j, earlier)
	f.must(f.store.Delete(f.t.Context(), tenant, j.ID), "delete the job that was served")
	later := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(5*time.Minute)))
	equal(f, later.Job.Cached, false, "cached, after its last job went")
}

func staleFinishRepeats(f *fixture) {
	earlier, j, w, _ := f.failing()
	o := f.failure(w, f.at(4*time.Minute))
	f.finish(o)
	f.sameIDs(f.finish(o), j.ID)
	f.served(j, earlier)
}
