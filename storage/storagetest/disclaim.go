package storagetest

import (
	"github.com/penstock-dev/penstock/jobs"
)

func disclaimRules() []rule {
	return []rule{
		{"a claim in doubt that was kept is undone", keptClaimIsUndone},
		{"a claim in doubt that arrives later is stale", lateClaimIsStale},
		{"the call of a claim in doubt is closed though its execution has ended", doubtOfEndedIsClosed},
		{"invariant 2: what another runs is not undone", othersClaimStays},
		{"the calls of a retired worker are closed", retiredCallsAreClosed},
	}
}

// disclaim undoes a claim, twice: the answer to the first may have been lost.
func (f *fixture) disclaim(c jobs.Claim) {
	f.t.Helper()
	for range 2 {
		f.must(f.store.Disclaim(f.t.Context(), c), "disclaim")
	}
}

// claimed submits a job and claims it.
func (f *fixture) claimed(name string) (jobs.Job, jobs.Claim) {
	f.t.Helper()
	job := f.submit(name).Job
	c := f.claimOf(f.release(f.now), f.worker())
	_, err := f.store.Claim(f.t.Context(), c)
	f.must(err, "claim")
	return job, c
}

// onlyCall checks that the job has one call, and its status.
func (f *fixture) onlyCall(job jobs.Job, want jobs.CallStatus) {
	f.t.Helper()
	calls := f.calls(job.ID)
	equal(f, len(calls), 1, "calls")
	equal(f, calls[0].Status, want, "the call's status")
}

func keptClaimIsUndone(f *fixture) {
	job, c := f.claimed("a")
	f.disclaim(c)
	equal(f, f.live(job.ID).Status, jobs.StatusQueued, "status")
	equal(f, f.live(job.ID).Tries, 0, "tries")
	f.onlyCall(job, jobs.CallCancelled)
	work := f.claim(f.release(f.now), f.worker())
	equal(f, work.Task.Fence, c.Task.Fence+1, "next fence")
}

func lateClaimIsStale(f *fixture) {
	job := f.submit("a").Job
	c := f.claimOf(f.release(f.now), f.worker())
	f.disclaim(c)
	_, err := f.store.Claim(f.t.Context(), c)
	f.mustBe(err, jobs.ErrStale, "claim after it was undone")
	equal(f, len(f.calls(job.ID)), 0, "calls")
	f.claim(f.release(f.now), f.worker())
}

func doubtOfEndedIsClosed(f *fixture) {
	job, c := f.claimed("a")
	f.cancel(job.ID)
	f.disclaim(c)
	f.ended(job.ID, jobs.StatusCancelled)
	f.onlyCall(job, jobs.CallCancelled)
}

func othersClaimStays(f *fixture) {
	job, c := f.claimed("a")
	f.disclaim(f.claimOf(c.Task, f.worker()))
	equal(f, f.live(job.ID).Status, jobs.StatusRunning, "status when another had claimed it")
	f.onlyCall(job, "")
	f.disclaim(c)
	next := f.claimOf(f.release(f.now), f.worker())
	_, err := f.store.Claim(f.t.Context(), next)
	f.must(err, "claim under the next fence")
	f.disclaim(c)
	equal(f, f.live(job.ID).Status, jobs.StatusRunning, "status when it was released again")
	calls := f.calls(job.ID)
	equal(f, len(calls), 2, "calls")
	equal(f, calls[1].Status, "", "status of the other's call")
}

func retiredCallsAreClosed(f *fixture) {
	job, c := f.claimed("a")
	others, _ := f.claimed("b")
	f.must(f.store.Retire(f.t.Context(), c.Worker), "retire")
	f.onlyCall(job, jobs.CallCancelled)
	f.onlyCall(others, "")
}
