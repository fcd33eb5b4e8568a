package storagetest

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

func finishRules() []rule {
	return []rule{
		{"invariant 4: success ends every job and tells of it", successEndsAll},
		{"invariant 4: failure ends every job and tells of it", failureEndsAll},
		{"the call is closed", finishClosesCall},
		{"invariant 2: repeated it succeeds and changes nothing", finishIsRepeatable},
		{"invariant 2: a stale worker records its call alone", staleRecordsCallAlone},
		{"a taken back release that was not made again may finish", takenBackMayFinish},
		{"what was abandoned is stale", abandonedIsStale},
		{"invariant 3: a job past its own deadline expires", ownDeadlineExpires},
		{"a prolonged execution is not given up", prolongedIsNotGivenUp},
		{"tries add up", triesAddUp},
		{"very many jobs end", veryManyEnd},
		{"the creator pays for every call", creatorPays},
		{"who leaves passes the bill on", leaverPassesBill},
		{"who expires at the finish passes the bill on", expiredPassesBill},
		{"an unknown cost stays unknown", unknownCostStaysUnknown},
	}
}

func successEndsAll(f *fixture) {
	first, work, _ := f.running("a")
	second := f.submit("a").Job
	f.sameIDs(f.finish(f.success(work, f.at(time.Minute))), first.ID, second.ID)
	for _, id := range []uuid.UUID{first.ID, second.ID} {
		j := f.ended(id, jobs.StatusSucceeded)
		equal(f, string(j.Result), answer, "result")
		equal(f, j.Error, nil, "error")
		equal(f, j.FinishedAt, f.at(time.Minute), "finished at")
		equal(f, j.Provider, provider, "provider")
		equal(f, j.Tries, 0, "tries")
		equal(f, j.Usage, f.callOf(work).Usage, "usage")
	}
	equal(f, len(f.releaseAll(f.at(time.Hour))), 0, "releases of what ended")
}

func failureEndsAll(f *fixture) {
	first, work, _ := f.running("a")
	second := f.submit("a").Job
	f.sameIDs(f.finish(f.failure(work, f.at(time.Minute))), first.ID, second.ID)
	for _, id := range []uuid.UUID{first.ID, second.ID} {
		j := f.ended(id, jobs.StatusFailed)
		if j.Error == nil || *j.Error != *f.failure(work, f.now).Error || j.Result != nil {
			f.t.Fatalf("failed: got error %+v, result %s, want the outcome's error alone", j.Error, j.Result)
		}
		equal(f, j.Provider, provider, "provider")
		equal(f, j.Tries, 1, "tries")
	}
}

// sameCall compares two calls with their costs by value.
func (f *fixture) sameCall(got, want jobs.Call) {
	f.t.Helper()
	if got.CostUSD != nil && want.CostUSD != nil && *got.CostUSD == *want.CostUSD {
		got.CostUSD, want.CostUSD = nil, nil
	}
	if got.ReservedUSD != nil && want.ReservedUSD != nil && *got.ReservedUSD == *want.ReservedUSD {
		got.ReservedUSD, want.ReservedUSD = nil, nil
	}
	equal(f, got, want, "call")
}

func finishClosesCall(f *fixture) {
	job, work, _ := f.running("success")
	o := f.success(work, f.at(time.Minute))
	o.Call.ReservedUSD = usd(9_000_000)
	f.finish(o)
	calls := f.calls(job.ID)
	equal(f, len(calls), 1, "calls")
	f.sameCall(calls[0], o.Call)

	job, work, _ = f.running("failure")
	failed := f.failure(work, f.at(time.Minute))
	f.finish(failed)
	calls = f.calls(job.ID)
	equal(f, len(calls), 1, "calls")
	f.sameCall(calls[0], failed.Call)
}

func finishIsRepeatable(f *fixture) {
	first, work, _ := f.running("a")
	second := f.submit("a", withDeadline(f.at(time.Minute))).Job
	cancelled := f.submit("a").Job
	f.cancel(cancelled.ID)
	o := f.success(work, f.at(2*time.Minute))
	f.sameIDs(f.finish(o), first.ID, second.ID)
	before := f.ended(first.ID, jobs.StatusSucceeded)

	o.Call.Latency, o.At = time.Hour, f.at(time.Hour)
	f.sameIDs(f.finish(o), first.ID, second.ID)
	f.ended(second.ID, jobs.StatusExpired)
	equal(f, f.ended(first.ID, jobs.StatusSucceeded).FinishedAt, before.FinishedAt, "finished at")
	calls := f.calls(first.ID)
	equal(f, len(calls), 1, "calls")
	equal(f, calls[0].Latency, f.callOf(work).Latency, "latency of a call that was closed before")
}

func staleRecordsCallAlone(f *fixture) {
	job, old, w := f.running("a")
	f.reclaim(w)
	now := f.claim(f.release(f.now), f.worker())
	_, err := f.store.Finish(f.t.Context(), f.failure(old, f.at(time.Minute)))
	f.mustBe(err, jobs.ErrStale, "finish under a past fence, while another runs")
	f.sameCall(f.calls(job.ID)[0], f.failedCallOf(old))
	equal(f, f.live(job.ID).Status, jobs.StatusRunning, "status")
	f.finish(f.success(now, f.at(2*time.Minute)))
	_, err = f.store.Finish(f.t.Context(), f.failure(old, f.at(time.Minute)))
	f.mustBe(err, jobs.ErrStale, "finish under a past fence, after another has")
	f.costs(job.ID, 2_500_000)
	f.ended(job.ID, jobs.StatusSucceeded)

	calls := f.calls(job.ID)
	equal(f, len(calls), 2, "calls")
	f.sameCall(calls[0], f.failedCallOf(old))
	f.sameCall(calls[1], f.callOf(now))
}

func takenBackMayFinish(f *fixture) {
	job, work, w := f.running("a")
	f.reclaim(w)
	equal(f, f.live(job.ID).Status, jobs.StatusQueued, "status")
	f.sameIDs(f.finish(f.success(work, f.at(time.Minute))), job.ID)
	f.ended(job.ID, jobs.StatusSucceeded)
	equal(f, len(f.releaseAll(f.at(time.Hour))), 0, "releases of what ended")
	f.sameIDs(f.finish(f.success(work, f.at(time.Minute))), job.ID)
}

func abandonedIsStale(f *fixture) {
	job, work, _ := f.running("a")
	f.cancel(job.ID)
	_, err := f.store.Finish(f.t.Context(), f.success(work, f.at(2*time.Minute)))
	f.mustBe(err, jobs.ErrStale, "finish an abandoned execution")
	j := f.ended(job.ID, jobs.StatusCancelled)
	equal(f, len(j.Result), 0, "bytes of result")
	calls := f.calls(job.ID)
	equal(f, len(calls), 1, "calls")
	f.sameCall(calls[0], f.callOf(work))
	again := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(3*time.Minute)))
	equal(f, again.Job.Cached, false, "copied from an abandoned execution")
}

func ownDeadlineExpires(f *fixture) {
	first, work, _ := f.running("a")
	short := f.submit("a", withDeadline(f.at(time.Minute))).Job
	late := f.submit("a", withDeadline(f.at(time.Minute+time.Millisecond))).Job
	f.sameIDs(f.finish(f.success(work, f.at(time.Minute))), first.ID, short.ID, late.ID)
	f.ended(first.ID, jobs.StatusSucceeded)
	f.ended(late.ID, jobs.StatusSucceeded)
	j := f.ended(short.ID, jobs.StatusExpired)
	if j.Error == nil || j.Error.Code != jobs.CodeExpired || j.Error.Message == "" || j.Result != nil {
		f.t.Fatalf("expired: got error %+v, result %s, want code expired and no result", j.Error, j.Result)
	}
}

func prolongedIsNotGivenUp(f *fixture) {
	job, work, _ := f.running("a", withDeadline(f.at(time.Minute)))
	f.submit("a", withDeadline(f.at(time.Hour)))
	o := f.failure(work, f.at(30*time.Second))
	o.StopAt = work.StopAt
	_, err := f.store.Finish(f.t.Context(), o)
	f.mustBe(err, jobs.ErrProlonged, "give up for want of time")
	equal(f, f.live(job.ID).Status, jobs.StatusRunning, "status")
	equal(f, f.calls(job.ID)[0].Status, "", "status of the call: nothing is written")
	o.StopAt = f.at(time.Hour)
	f.finish(o)
	f.ended(job.ID, jobs.StatusFailed)
}

func triesAddUp(f *fixture) {
	job, work, w := f.running("a")
	f.reschedule(f.retry(work, f.now))
	equal(f, f.live(job.ID).Tries, 1, "tries of a live job")
	again := f.claim(f.release(f.now), w)
	equal(f, again.Tries, 1, "tries of the work")
	o := f.failure(again, f.at(time.Minute))
	o.Tries = 2
	f.finish(o)
	equal(f, f.ended(job.ID, jobs.StatusFailed).Tries, 3, "tries")
}

func veryManyEnd(f *fixture) {
	const n = 1100
	first, work, _ := f.running("a")
	ids := []uuid.UUID{first.ID}
	var submissions []jobs.Submission
	for range n - 1 {
		s := f.submission("a")
		submissions, ids = append(submissions, s), append(ids, s.Job.ID)
	}
	for chunk := range slices.Chunk(submissions, 100) {
		for _, err := range f.submitAll(chunk) {
			f.must(err, "submit")
		}
	}
	o := f.success(work, f.at(time.Minute))
	f.sameIDs(f.finish(o), ids...)
	f.sameIDs(f.finish(o), ids...)
	for _, id := range []uuid.UUID{ids[0], ids[1], ids[n/2], ids[n-1]} {
		f.ended(id, jobs.StatusSucceeded)
	}
	list, err := f.store.Jobs(f.t.Context(), jobs.JobQuery{Tenant: tenant, Status: jobs.StatusSucceeded, Limit: 2 * n})
	f.must(err, "list jobs")
	equal(f, len(list), n, "succeeded jobs")
	settled, err := f.store.Settle(f.t.Context())
	f.must(err, "settle")
	equal(f, len(settled), 0, "jobs left to settle")
}

// costs asserts what a terminal job cost.
func (f *fixture) costs(id uuid.UUID, want jobs.USD) {
	f.t.Helper()
	got := f.job(id).CostUSD
	if got == nil || *got != want {
		f.t.Fatalf("cost of job %s: got %v, want %v", id, got, want)
	}
}

func creatorPays(f *fixture) {
	creator, work, w := f.running("a")
	attached := f.submit("a").Job
	f.cancel(f.submit("a").Job.ID)
	r := f.retry(work, f.now)
	r.Call.CostUSD = usd(1_000_000)
	f.reschedule(r)
	again := f.claim(f.release(f.now), w)
	f.finish(f.success(again, f.at(time.Minute)))
	f.costs(creator.ID, 3_500_000)
	f.costs(attached.ID, 0)
}

func leaverPassesBill(f *fixture) {
	creator, work, _ := f.running("a")
	second := f.submit("a", withDeadline(f.at(10*time.Second))).Job
	third := f.submit("a").Job
	fourth := f.submit("a").Job
	f.cancel(creator.ID)
	f.sameIDs(f.expire(f.at(10*time.Second)).Ended, second.ID)
	f.finish(f.success(work, f.at(time.Minute)))
	f.costs(creator.ID, 0)
	f.costs(second.ID, 0)
	f.costs(third.ID, 2_500_000)
	f.costs(fourth.ID, 0)
}

func expiredPassesBill(f *fixture) {
	creator, work, _ := f.running("a", withDeadline(f.at(time.Minute)))
	second := f.submit("a").Job
	third := f.submit("a").Job
	f.finish(f.success(work, f.at(time.Minute)))
	f.ended(creator.ID, jobs.StatusExpired)
	f.costs(creator.ID, 0)
	f.costs(second.ID, 2_500_000)
	f.costs(third.ID, 0)
}

func unknownCostStaysUnknown(f *fixture) {
	job, work, _ := f.running("a")
	attached := f.submit("a").Job
	o := f.success(work, f.at(time.Minute))
	o.Call.CostUSD, o.Call.Usage = nil, providers.Usage{}
	f.finish(o)
	j := f.ended(job.ID, jobs.StatusSucceeded)
	if j.CostUSD != nil || j.Usage.Known {
		f.t.Fatalf("got cost %v, usage %+v, want both unknown", j.CostUSD, j.Usage)
	}
	f.costs(attached.ID, 0)
}
