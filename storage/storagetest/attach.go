package storagetest

import (
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func attachRules() []rule {
	return []rule{
		{"invariant 3: one live execution per hash", attaches},
		{"raises a queued execution", raisesQueued},
		{"does not lower an execution", doesNotLower},
		{"the earliest deadline orders", earliestDeadlineOrders},
		{"the latest deadline stops", latestDeadlineStops},
		{"a raised release is made again under the next fence", raisedReleaseIsMadeAgain},
		{"a release that is not raised stays", equalReleaseStays},
		{"a raised run goes on", raisedRunGoesOn},
		{"a job that attaches to a run starts when it was created", attachedToRunStarts},
		{"without dedupe nothing is shared", withoutDedupeNothingIsShared},
		{"invariant 9: tenants share nothing", tenantsShareNothing},
		{"an ended execution is not attached to", endedIsNotAttachedTo},
		{"who leaves takes priority and deadline along", leavingLowers},
	}
}

func attaches(f *fixture) {
	first := f.submit("a")
	second := f.submit("a")
	if second.Ready || second.Replayed {
		f.t.Fatalf("attached: got %+v, want neither ready nor replayed", second)
	}
	if first.Job.Deduplicated || !second.Job.Deduplicated {
		f.t.Fatalf("deduplicated: got %v, %v, want false, true", first.Job.Deduplicated, second.Job.Deduplicated)
	}
	equal(f, f.live(second.Job.ID).ExecutionID, first.Job.ExecutionID, "execution of the attached job")
	w := f.worker()
	work := f.claim(f.release(f.now), w)
	equal(f, f.job(second.Job.ID).Status, jobs.StatusRunning, "status of the attached job")
	f.sameIDs(f.finish(f.success(work, f.at(time.Minute))), first.Job.ID, second.Job.ID)
	for _, s := range []jobs.Submitted{first, second} {
		j := f.ended(s.Job.ID, jobs.StatusSucceeded)
		equal(f, string(j.Result), answer, "result")
	}
	request, err := f.store.Request(f.t.Context(), tenant, second.Job.ID)
	f.must(err, "read the attached job's request")
	equal(f, string(request.Body), string(f.submission("a").Request.Body), "request of the attached job")
}

func raisesQueued(f *fixture) {
	f.submit("a", withPriority(jobs.PriorityLow))
	f.submit("a", withPriority(jobs.PriorityHigh))
	equal(f, len(f.ready(jobs.PriorityLow, f.now)), 0, "ready at the old priority")
	equal(f, len(f.ready(jobs.PriorityHigh, f.now)), 1, "ready at the new priority")
	equal(f, f.release(f.now).Priority, jobs.PriorityHigh, "priority of the task")
}

func doesNotLower(f *fixture) {
	f.submit("a", withPriority(jobs.PriorityHigh))
	f.submit("a", withPriority(jobs.PriorityLow))
	equal(f, len(f.ready(jobs.PriorityHigh, f.now)), 1, "ready at the priority it had")
}

func earliestDeadlineOrders(f *fixture) {
	f.submit("a", withDeadline(f.at(3*time.Hour)))
	f.submit("b", withDeadline(f.at(2*time.Hour)))
	attached := f.submit("a", withDeadline(f.at(time.Hour)))
	ready := f.ready(jobs.PriorityNormal, f.now)
	equal(f, len(ready), 2, "ready executions")
	equal(f, ready[0].Execution, attached.Job.ExecutionID, "first in order")
	equal(f, ready[0].Deadline, f.at(time.Hour), "its deadline")
}

func latestDeadlineStops(f *fixture) {
	f.submit("a", withDeadline(f.at(2*time.Hour)))
	f.submit("a", withDeadline(f.at(3*time.Hour)))
	f.submit("a", withDeadline(f.at(time.Hour)))
	work := f.claim(f.release(f.now), f.worker())
	equal(f, work.StopAt, f.at(3*time.Hour), "stop at")
}

func raisedReleaseIsMadeAgain(f *fixture) {
	f.submit("a")
	old := f.release(f.now)
	raised := f.submit("a", withPriority(jobs.PriorityHigh))
	equal(f, raised.Ready, true, "raising made it ready")

	w := f.worker()
	_, err := f.store.Claim(f.t.Context(), f.claimOf(old, w))
	f.mustBe(err, jobs.ErrStale, "claim the release that was taken back")
	again := f.release(f.now)
	equal(f, again, jobs.Task{
		Execution: old.Execution, Fence: old.Fence + 1, Provider: provider, Priority: jobs.PriorityHigh,
	}, "task")
	_, err = f.store.Claim(f.t.Context(), f.claimOf(old, w))
	f.mustBe(err, jobs.ErrStale, "claim under the old fence")
	f.claim(again, w)
}

func equalReleaseStays(f *fixture) {
	f.submit("a")
	task := f.release(f.now)
	equal(f, f.submit("a").Ready, false, "ready")
	equal(f, len(f.releaseAll(f.now)), 0, "released again")
	f.claim(task, f.worker())
}

func raisedRunGoesOn(f *fixture) {
	first, work, _ := f.running("a")
	raised := f.submit("a", withPriority(jobs.PriorityHigh), withDeadline(f.at(3*time.Hour)))
	equal(f, raised.Ready, false, "ready")
	equal(f, raised.Job.Status, jobs.StatusRunning, "status of a job attached to a run")
	equal(f, len(f.releaseAll(f.now)), 0, "released while it runs")
	f.sameIDs(f.finish(f.success(work, f.at(time.Minute))), first.ID, raised.Job.ID)
}

func attachedToRunStarts(f *fixture) {
	first, work, _ := f.running("a")
	late := f.submit("a", withCreated(f.at(time.Minute))).Job
	equal(f, f.job(first.ID).StartedAt, f.at(time.Second), "start of the first")
	equal(f, f.job(late.ID).StartedAt, f.at(time.Minute), "start of the late one")
	f.finish(f.success(work, f.at(time.Hour/2)))
	equal(f, f.job(first.ID).StartedAt, f.at(time.Second), "start of the first, ended")
	equal(f, f.job(late.ID).StartedAt, f.at(time.Minute), "start of the late one, ended")
}

func withoutDedupeNothingIsShared(f *fixture) {
	for range 2 {
		if s := f.submit("a", withoutDedupe); s.Job.Deduplicated || !s.Ready {
			f.t.Fatalf("without dedupe: got %+v, want an execution of its own", s)
		}
	}
	if s := f.submit("a"); s.Job.Deduplicated || !s.Ready {
		f.t.Fatalf("with dedupe: got %+v, want an execution of its own", s)
	}
	if s := f.submit("a", withoutDedupe); s.Job.Deduplicated || !s.Ready {
		f.t.Fatalf("without dedupe, beside one with: got %+v, want an execution of its own", s)
	}
	equal(f, f.submit("a").Job.Deduplicated, true, "the second with dedupe is deduplicated")
	equal(f, len(f.ready(jobs.PriorityNormal, f.now)), 4, "executions")
}

func tenantsShareNothing(f *fixture) {
	f.submit("a")
	s := f.submit("a", withTenant("other"))
	if s.Job.Deduplicated || !s.Ready {
		f.t.Fatalf("another tenant's: got %+v, want an execution of its own", s)
	}
	equal(f, len(f.ready(jobs.PriorityNormal, f.now)), 2, "executions")
}

func endedIsNotAttachedTo(f *fixture) {
	_, work, _ := f.running("a")
	f.finish(f.success(work, f.at(time.Minute)))
	s := f.submit("a", withCreated(f.at(time.Minute)))
	if s.Job.Deduplicated || s.Job.Cached || !s.Ready {
		f.t.Fatalf("got %+v, want a new execution", s)
	}
}

func leavingLowers(f *fixture) {
	stays := f.submit("a", withPriority(jobs.PriorityLow), withDeadline(f.at(2*time.Hour)))
	leaves := f.submit("a", withPriority(jobs.PriorityHigh), withDeadline(f.at(time.Hour)))
	late := f.submit("a", withPriority(jobs.PriorityLow), withDeadline(f.at(3*time.Hour)))
	f.cancel(leaves.Job.ID)
	f.cancel(late.Job.ID)
	equal(f, len(f.ready(jobs.PriorityHigh, f.now)), 0, "ready at the priority of the job that left")
	ready := f.ready(jobs.PriorityLow, f.now)
	equal(f, len(ready), 1, "ready at the priority of the job that stays")
	equal(f, ready[0].Deadline, f.at(2*time.Hour), "deadline")
	equal(f, f.claim(f.release(f.now), f.worker()).StopAt, f.at(2*time.Hour), "stop at")
	f.live(stays.Job.ID)
}
