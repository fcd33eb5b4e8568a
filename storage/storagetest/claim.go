package storagetest

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func claimRules() []rule {
	return []rule{
		{"a claim is all it takes to run", claimIsWhole},
		{"the call is recorded open with the claim", claimRecordsCall},
		{"the same call may claim twice", claimIsRepeatable},
		{"invariant 2: a claimed release is nobody else's", claimedIsTaken},
		{"invariant 2: a past fence is stale", pastFenceIsStale},
		{"what ended is stale", endedIsStale},
		{"an unknown worker claims nothing", unknownWorkerClaimsNothing},
		{"a job starts with its first claim", startsWithFirstClaim},
	}
}

func claimIsWhole(f *fixture) {
	s := f.submission("a", withPriority(jobs.PriorityHigh))
	f.keep(s)
	task := f.release(f.now)
	claim := f.claimOf(task, f.worker())
	work, err := f.store.Claim(f.t.Context(), claim)
	f.must(err, "claim")
	want := jobs.Work{
		Task: task, Tenant: tenant, RequestHash: s.Job.RequestHash, Endpoint: s.Request.Endpoint, Body: s.Request.Body,
		Route: route, Provider: provider, Model: model, StopAt: s.Job.Deadline, Call: claim.Call,
	}
	if !reflect.DeepEqual(work, want) {
		f.t.Fatalf("work:\n got %+v\nwant %+v", work, want)
	}
	j := f.live(s.Job.ID)
	equal(f, j.Status, jobs.StatusRunning, "status")
	equal(f, j.WaitingOn, "", "what a running job waits on")
	equal(f, j.StartedAt, claim.At, "started at")
}

func claimRecordsCall(f *fixture) {
	job := f.submit("a").Job
	claim := f.claimOf(f.release(f.now), f.worker())
	_, err := f.store.Claim(f.t.Context(), claim)
	f.must(err, "claim")
	calls := f.calls(job.ID)
	equal(f, len(calls), 1, "calls")
	equal(f, calls[0], jobs.Call{
		ID: claim.Call, Execution: job.ExecutionID, Fence: 1, Tenant: tenant, RequestHash: job.RequestHash,
		Provider: provider, Model: model, CreatedAt: claim.At,
	}, "open call")
}

func claimIsRepeatable(f *fixture) {
	job := f.submit("a").Job
	w := f.worker()
	claim := f.claimOf(f.release(f.now), w)
	first, err := f.store.Claim(f.t.Context(), claim)
	f.must(err, "claim")
	again, err := f.store.Claim(f.t.Context(), claim)
	f.must(err, "claim again")
	if !reflect.DeepEqual(first, again) {
		f.t.Fatalf("claimed again:\n got %+v\nwant %+v", again, first)
	}
	equal(f, len(f.calls(job.ID)), 1, "calls")
	_, err = f.store.Claim(f.t.Context(), f.claimOf(claim.Task, w))
	f.mustBe(err, jobs.ErrStale, "claim for another call of the same worker")
}

func claimedIsTaken(f *fixture) {
	job, work, _ := f.running("a")
	_, err := f.store.Claim(f.t.Context(), f.claimOf(work.Task, f.worker()))
	f.mustBe(err, jobs.ErrStale, "claim what another runs")
	equal(f, len(f.calls(job.ID)), 1, "calls")
}

func pastFenceIsStale(f *fixture) {
	job := f.submit("a").Job
	w := f.worker()
	task := f.release(f.now)
	for _, fence := range []int64{0, 2} {
		wrong := task
		wrong.Fence = fence
		_, err := f.store.Claim(f.t.Context(), f.claimOf(wrong, w))
		f.mustBe(err, jobs.ErrStale, fmt.Sprintf("claim under fence %d", fence))
	}
	equal(f, f.live(job.ID).Status, jobs.StatusQueued, "status")
	equal(f, len(f.calls(job.ID)), 0, "calls")
}

func endedIsStale(f *fixture) {
	job := f.submit("a").Job
	task := f.release(f.now)
	f.cancel(job.ID)
	_, err := f.store.Claim(f.t.Context(), f.claimOf(task, f.worker()))
	f.mustBe(err, jobs.ErrStale, "claim an abandoned execution")
	task.Execution = newID(f.t)
	_, err = f.store.Claim(f.t.Context(), f.claimOf(task, f.worker()))
	f.mustBe(err, jobs.ErrStale, "claim no execution")
}

// Nobody would ever notice that such a worker died.
func unknownWorkerClaimsNothing(f *fixture) {
	job := f.submit("a").Job
	task := f.release(f.now)
	_, err := f.store.Claim(f.t.Context(), f.claimOf(task, jobs.Worker{ID: newID(f.t)}))
	if err == nil || errors.Is(err, &jobs.Error{Code: jobs.CodeStoreUnavailable}) {
		f.t.Fatalf("claim by a worker without a beat: got error %v, want one that is not unavailability", err)
	}
	equal(f, f.live(job.ID).Status, jobs.StatusQueued, "status")
	equal(f, len(f.calls(job.ID)), 0, "calls")
	f.claim(task, f.worker())
}

func startsWithFirstClaim(f *fixture) {
	job, work, w := f.running("a")
	f.reschedule(f.retry(work, f.now))
	equal(f, f.job(job.ID).StartedAt, f.at(time.Second), "started at, waiting for a retry")
	claim := f.claimOf(f.release(f.now), w)
	claim.At = f.at(time.Minute)
	_, err := f.store.Claim(f.t.Context(), claim)
	f.must(err, "claim again")
	equal(f, f.job(job.ID).StartedAt, f.at(time.Second), "started at, running again")
}
