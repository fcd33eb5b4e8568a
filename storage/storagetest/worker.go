package storagetest

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

func rescheduleRules() []rule {
	return []rule{
		{"invariant 5: a run is given back until its time", givesBack},
		{"run_at is kept to the millisecond", keepsRunAt},
		{"its jobs say what they wait on", saysWhatItWaitsOn},
		{"the call is closed", rescheduleClosesCall},
		{"invariant 2: stale, the call is recorded alone", staleRescheduleRecordsCall},
		{"a job that attaches does not hurry it", attachDoesNotHurry},
	}
}

func workerRules() []rule {
	return []rule{
		{"a beat makes a worker known and moves on", beatMovesOn},
		{"a beat tells what serves nobody", beatTellsObsolete},
		{"a retired worker's runs are not crashes", retiredRunsAreNotCrashes},
		{"invariant 5: a dead worker's runs are made again", deadRunsAreMadeAgain},
		{"a worker that beat since is not dead", beatSinceIsNotDead},
		{"a worker that comes back is not taken for what it was", cameBackIsNew},
		{"invariant 5: three crashes poison", crashesPoison},
		{"invariant 2: who comes back after the poisoning is stale", staleAfterPoisoning},
		{"a poisoned request may be made again", poisonedMayBeMadeAgain},
	}
}

func givesBack(f *fixture) {
	job, work, w := f.running("a")
	r := f.retry(work, f.at(time.Minute))
	r.Target = 2
	f.reschedule(r)
	equal(f, f.live(job.ID).Status, jobs.StatusQueued, "status")
	outstanding, err := f.store.Outstanding(f.t.Context())
	f.must(err, "count what is outstanding")
	equal(f, len(outstanding), 0, "outstanding releases")
	ready := f.ready(jobs.PriorityNormal, f.at(time.Minute))
	equal(f, len(ready), 1, "ready at its time")
	equal(f, ready[0].Target, 2, "target of the candidate")
	task := f.release(f.at(time.Minute))
	equal(f, task.Fence, work.Task.Fence+1, "fence")
	equal(f, f.claim(task, w).Target, 2, "target of the work")
}

func keepsRunAt(f *fixture) {
	_, work, _ := f.running("a")
	at := f.at(1234 * time.Millisecond)
	f.reschedule(f.retry(work, at))
	equal(f, len(f.ready(jobs.PriorityNormal, at.Add(-time.Millisecond))), 0, "ready a millisecond before")
	equal(f, len(f.ready(jobs.PriorityNormal, at)), 1, "ready at its time")
}

func saysWhatItWaitsOn(f *fixture) {
	for _, on := range []jobs.WaitingOn{jobs.WaitingOnRetry, jobs.WaitingOnRateLimit} {
		job, work, _ := f.running(string(on))
		r := f.retry(work, f.at(time.Hour))
		r.WaitingOn = on
		f.reschedule(r)
		equal(f, f.live(job.ID).WaitingOn, on, "waiting on, before its time")
	}
	job, work, _ := f.running("a")
	f.reschedule(f.retry(work, f.at(-time.Minute)))
	equal(f, f.live(job.ID).WaitingOn, jobs.WaitingOnCapacity, "waiting on, after its time")
}

func rescheduleClosesCall(f *fixture) {
	job, work, _ := f.running("a")
	f.reschedule(f.retry(work, f.now))
	calls := f.calls(job.ID)
	equal(f, len(calls), 1, "calls")
	f.sameCall(calls[0], f.failedCallOf(work))
	equal(f, f.live(job.ID).Provider, provider, "provider that answered last")
}

func staleRescheduleRecordsCall(f *fixture) {
	job, old, w := f.running("a")
	f.reclaim(w)
	err := f.store.Reschedule(f.t.Context(), f.retry(old, f.at(time.Hour)))
	f.mustBe(err, jobs.ErrStale, "give back what was taken back")
	f.sameCall(f.calls(job.ID)[0], f.failedCallOf(old))
	equal(f, f.live(job.ID).Tries, 0, "tries")
	now := f.claim(f.release(f.now), f.worker())
	err = f.store.Reschedule(f.t.Context(), f.retry(old, f.at(time.Hour)))
	f.mustBe(err, jobs.ErrStale, "give back under a past fence")
	equal(f, f.live(job.ID).Status, jobs.StatusRunning, "status")
	f.finish(f.success(now, f.at(time.Minute)))
	err = f.store.Reschedule(f.t.Context(), f.retry(now, f.at(time.Hour)))
	f.mustBe(err, jobs.ErrStale, "give back what ended")
	f.ended(job.ID, jobs.StatusSucceeded)
}

func attachDoesNotHurry(f *fixture) {
	_, work, _ := f.running("a")
	f.reschedule(f.retry(work, f.at(time.Hour)))
	f.submit("a", withPriority(jobs.PriorityHigh), withDeadline(f.at(2*time.Hour)))
	equal(f, len(f.ready(jobs.PriorityHigh, f.at(time.Minute))), 0, "ready before its time")
	equal(f, len(f.ready(jobs.PriorityHigh, f.at(time.Hour))), 1, "ready at its time")
}

func beatMovesOn(f *fixture) {
	w := jobs.Worker{ID: newID(f.t), Name: "alpha"}
	f.beat(w)
	first := f.workerNow(w.ID)
	equal(f, first.Name, "alpha", "name")
	f.beat(w)
	second := f.workerNow(w.ID)
	if second.Beat == first.Beat {
		f.t.Fatalf("beat: got %d after two beats as after one", second.Beat)
	}
	equal(f, f.workerNow(w.ID).Beat, second.Beat, "beat of a worker that does not beat")
	f.must(f.store.Retire(f.t.Context(), w.ID), "retire")
	workers, err := f.store.Workers(f.t.Context())
	f.must(err, "list workers")
	equal(f, len(workers), 0, "workers after it retired")
}

func beatTellsObsolete(f *fixture) {
	w := f.worker()
	start := func(name string) (jobs.Job, jobs.Work) {
		job := f.submit(name).Job
		return job, f.claim(f.release(f.now), w)
	}
	_, runs := start("runs")
	cancelled, gone := start("cancelled")
	_, done := start("done")
	_, back := start("back")
	_, moved := start("moved")
	f.cancel(cancelled.ID)
	f.finish(f.success(done, f.at(time.Minute)))
	f.reschedule(f.retry(back, f.at(time.Hour)))
	f.reschedule(f.retry(moved, f.now))
	f.release(f.now)

	obsolete := f.beat(w, runs.Task, gone.Task, done.Task, back.Task, moved.Task)
	equal(f, len(obsolete), 3, "obsolete tasks")
	for _, task := range []jobs.Task{gone.Task, done.Task, moved.Task} {
		if !slices.Contains(obsolete, task) {
			f.t.Fatalf("obsolete: got %+v, want %+v among them", obsolete, task)
		}
	}
	equal(f, len(f.beat(w)), 0, "obsolete tasks of an idle worker")
}

func retiredRunsAreNotCrashes(f *fixture) {
	job := f.submit("a").Job
	for range jobs.MaxCrashes + 1 {
		w := f.worker()
		f.claim(f.release(f.now), w)
		f.must(f.store.Retire(f.t.Context(), w.ID), "retire")
		equal(f, f.live(job.ID).Status, jobs.StatusQueued, "status")
	}
	f.must(f.store.Retire(f.t.Context(), newID(f.t)), "retire a worker that is not known")
}

// reclaim declares the worker dead, as last seen.
func (f *fixture) reclaim(w jobs.Worker) jobs.Reclaimed {
	f.t.Helper()
	got, err := f.store.Reclaim(f.t.Context(), w, f.at(time.Minute))
	f.must(err, "reclaim")
	return got
}

func deadRunsAreMadeAgain(f *fixture) {
	job, work, w := f.running("a")
	other, _, _ := f.running("b")
	unclaimed := f.submit("c").Job
	f.release(f.now)
	got := f.reclaim(w)
	equal(f, got.Requeued, 1, "requeued")
	equal(f, len(got.Ended), 0, "ended")
	equal(f, f.live(job.ID).Status, jobs.StatusQueued, "status of the dead worker's job")
	equal(f, f.live(other.ID).Status, jobs.StatusRunning, "status of another worker's job")
	equal(f, f.live(unclaimed.ID).Status, jobs.StatusQueued, "status of a released job")
	again := f.release(f.now)
	equal(f, again.Execution, job.ExecutionID, "released again")
	equal(f, again.Fence, work.Task.Fence+1, "fence")
	equal(f, f.job(job.ID).Tries, 0, "tries: a crash is none")
	equal(f, f.reclaim(w).Requeued, 0, "requeued by a second reclaim")
	equal(f, f.calls(job.ID)[0].Status, "", "status of the call: nobody knows")
}

func beatSinceIsNotDead(f *fixture) {
	job, _, w := f.running("a")
	f.beat(w)
	equal(f, f.reclaim(w).Requeued, 0, "requeued")
	equal(f, f.live(job.ID).Status, jobs.StatusRunning, "status")
	f.workerNow(w.ID)
}

func cameBackIsNew(f *fixture) {
	f.submit("a")
	w := f.worker()
	f.reclaim(w)
	f.beat(w)
	f.claim(f.release(f.now), w)
	equal(f, f.reclaim(w).Requeued, 0, "requeued by who saw it before it came back")
}

// crash runs the one ready execution in a worker that dies.
func (f *fixture) crash() (jobs.Work, jobs.Reclaimed) {
	f.t.Helper()
	w := f.worker()
	work := f.claim(f.release(f.now), w)
	return work, f.reclaim(w)
}

func crashesPoison(f *fixture) {
	first := f.submit("a").Job
	second := f.submit("a").Job
	for range jobs.MaxCrashes - 1 {
		_, got := f.crash()
		equal(f, got.Requeued, 1, "requeued")
		f.live(first.ID)
	}
	_, got := f.crash()
	equal(f, got.Requeued, 0, "requeued after the last crash")
	f.sameIDs(got.Ended, first.ID, second.ID)
	for _, id := range []uuid.UUID{first.ID, second.ID} {
		j := f.ended(id, jobs.StatusFailed)
		if j.Error == nil || j.Error.Code != jobs.CodePoisoned || j.Error.Message == "" {
			f.t.Fatalf("poisoned: got error %+v, want code poisoned", j.Error)
		}
		equal(f, j.Tries, 0, "tries")
		equal(f, j.FinishedAt, f.at(time.Minute), "finished at")
	}
	equal(f, len(f.releaseAll(f.at(time.Hour))), 0, "releases of what is poisoned")
}

func staleAfterPoisoning(f *fixture) {
	job := f.submit("a").Job
	var last jobs.Work
	for range jobs.MaxCrashes {
		last, _ = f.crash()
	}
	_, err := f.store.Finish(f.t.Context(), f.success(last, f.at(2*time.Minute)))
	f.mustBe(err, jobs.ErrStale, "finish what is poisoned")
	f.ended(job.ID, jobs.StatusFailed)
	equal(f, f.calls(job.ID)[jobs.MaxCrashes-1].Status, jobs.CallSuccess, "status of the late call")
	s := f.submit("a", withMaxAge(time.Hour), withCreated(f.at(3*time.Minute)))
	equal(f, s.Job.Cached, false, "copied from what is poisoned")
}

func poisonedMayBeMadeAgain(f *fixture) {
	f.submit("a")
	for range jobs.MaxCrashes {
		f.crash()
	}
	again := f.submit("a", withCreated(f.at(2*time.Minute)))
	equal(f, again.Job.Deduplicated, false, "deduplicated")
	_, got := f.crash()
	equal(f, got.Requeued, 1, "requeued: its crashes are its own")
	f.live(again.Job.ID)
}
