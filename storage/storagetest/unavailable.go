package storagetest

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

func unavailableRules() []rule {
	return []rule{
		{"what a job wants is kept", wantIsKept},
		{"who would fail fails, and no other", unservedFails},
		{"invariant 3: of those that share an execution each gets its own", unservedShared},
		{"what waits for a time is given up, what is released is not", unservedReleased},
		{"a job that would fail takes a stale answer that it may", unservedTakesStale},
		{"who would degrade is answered by what is stored", unservedTakesStored},
		{"who would degrade waits if nothing is stored, and is looked at once", unservedWaits},
		{"jobs are given up in portions", unservedInPortions},
		{"routes are those with somebody unserved, too", unservedRoutesAreLive},
		{"only what degrades as a whole is listed for a lesser target", degradableIsListed},
		{"only what degrades as a whole is released to a lesser target", degradableIsReleased},
		{"an answer of a lesser target says so, and is not copied", degradedAnswer},
		{"invariant 3: who would not degrade is given nothing of a lesser target", degradedNotForOthers},
		{"a release to a lesser target is taken back for who would not degrade", degradedTakenBack},
		{"a failure at a lesser target is one for those alone who degrade", degradedFailure},
	}
}

func wanting(o jobs.OnUnavailable) edit {
	return func(s *jobs.Submission) { s.Job.OnUnavailable = o }
}

var (
	failing   = wanting(jobs.OnUnavailableFail)
	degrading = wanting(jobs.OnUnavailableDegrade)
)

// giveUp gives up what is unserved at the given time.
func (f *fixture) giveUp(at time.Time) jobs.GivenUp {
	f.t.Helper()
	return f.giveUpSome(at, 1000)
}

func (f *fixture) giveUpSome(at time.Time, limit int) jobs.GivenUp {
	f.t.Helper()
	got, err := f.store.GiveUp(f.t.Context(), jobs.Unserved{Route: route, At: at, Limit: limit, Why: whyUnserved})
	f.must(err, "give up")
	return got
}

var whyUnserved = jobs.JobError{Code: jobs.CodeUnavailable, Message: "sim/sim-1 is open"}

// unserved asserts that the job failed for want of a target.
func (f *fixture) unserved(j jobs.Job, at time.Time) {
	f.t.Helper()
	got := f.ended(j.ID, jobs.StatusFailed)
	if got.Error == nil || *got.Error != whyUnserved {
		f.t.Fatalf("error: got %+v, want %+v", got.Error, whyUnserved)
	}
	equal(f, got.FinishedAt, at, "finished at")
	equal(f, got.Tries, 0, "tries")
	equal(f, got.Degraded, false, "degraded")
	equal(f, len(f.calls(j.ID)), 0, "calls")
}

func wantIsKept(f *fixture) {
	for i, want := range []jobs.OnUnavailable{jobs.OnUnavailableWait, jobs.OnUnavailableFail, jobs.OnUnavailableDegrade} {
		j := f.submit(fmt.Sprint(i), wanting(want)).Job
		equal(f, f.job(j.ID).OnUnavailable, want, "what the job wants")
	}
}

func unservedFails(f *fixture) {
	waits, fails := f.submit("a").Job, f.submit("b", failing).Job
	other := f.submit("c", failing, withRoute("other")).Job
	late := f.submit("d", failing, withDeadline(f.at(time.Second))).Job
	got := f.giveUp(f.at(time.Second))
	f.sameIDs(got.Ended, fails.ID)
	equal(f, got.More, false, "more")
	f.unserved(fails, f.at(time.Second))
	for _, j := range []jobs.Job{waits, other, late} {
		f.live(j.ID)
	}
	equal(f, len(f.ready(jobs.PriorityNormal, f.now)), 2, "executions that are left")
	f.sameIDs(f.giveUp(f.at(time.Second)).Ended)
}

// unservedShared: the payer fails, one degrades, and the last has the execution
// for itself, as it would have had it from the first.
func unservedShared(f *fixture) {
	earlier := f.answered("a", time.Minute)
	at := withCreated(f.at(3 * time.Minute))
	fails := f.submit("a", failing, at, withPriority(jobs.PriorityHigh)).Job
	degrades := f.submit("a", degrading, at, withDeadline(f.at(30*time.Minute))).Job
	waits := f.submit("a", at).Job
	equal(f, waits.ExecutionID, fails.ExecutionID, "they share an execution")
	f.sameIDs(f.giveUp(f.at(4*time.Minute)).Ended, fails.ID, degrades.ID)
	f.unserved(fails, f.at(4*time.Minute))
	equal(f, f.served(degrades, earlier).Degraded, true, "degraded")
	f.live(waits.ID)
	ready := f.ready(jobs.PriorityNormal, f.at(4*time.Minute))
	equal(f, len(ready), 1, "executions with the priority of who is left")
	equal(f, ready[0].Deadline, waits.Deadline, "deadline")
	w := f.claim(f.release(f.at(4*time.Minute)), f.worker())
	f.sameIDs(f.finish(f.success(w, f.at(5*time.Minute))), waits.ID)
	got := f.ended(waits.ID, jobs.StatusSucceeded)
	if got.CostUSD == nil || *got.CostUSD == 0 {
		f.t.Fatalf("cost: got %v, want that of the call: who is left pays", got.CostUSD)
	}
}

func unservedReleased(f *fixture) {
	released, work, _ := f.running("a", failing)
	equal(f, len(f.giveUp(f.at(time.Second)).Ended), 0, "given up of what is running")
	f.live(released.ID)
	f.reschedule(f.retry(work, f.at(time.Hour/2)))
	f.sameIDs(f.giveUp(f.at(2*time.Second)).Ended, released.ID)
	got := f.ended(released.ID, jobs.StatusFailed)
	equal(f, got.Error.Code, jobs.CodeUnavailable, "code")
	equal(f, got.Tries, 1, "tries: those that were used up before")
	n, _ := f.unpark(f.at(time.Hour), 10)
	equal(f, n, 0, "brought back of what was given up")
}

func unservedTakesStale(f *fixture) {
	earlier := f.answered("a", time.Minute)
	j := f.submit("a", failing, withCreated(f.at(3*time.Minute)), withStaleIfError(time.Hour)).Job
	f.sameIDs(f.giveUp(f.at(4*time.Minute)).Ended, j.ID)
	equal(f, f.served(j, earlier).Degraded, false, "degraded: it is what stale_if_error allows")
}

func unservedTakesStored(f *fixture) {
	earlier := f.answered("a", time.Minute)
	f.answered("b", time.Minute, withNoStore)
	f.answered("c", time.Minute, withTenant("other"))
	at := withCreated(f.at(3 * time.Minute))
	a, b, c := f.submit("a", degrading, at).Job, f.submit("b", degrading, at).Job, f.submit("c", degrading, at).Job
	f.sameIDs(f.giveUp(f.at(4*time.Minute)).Ended, a.ID)
	got := f.served(a, earlier)
	equal(f, got.Degraded, true, "degraded")
	equal(f, got.Tries, 0, "tries")
	f.live(b.ID)
	f.live(c.ID)
}

func unservedWaits(f *fixture) {
	j := f.submit("a", degrading).Job
	got := f.giveUp(f.at(time.Second))
	equal(f, len(got.Ended), 0, "ended")
	f.live(j.ID)
	fails := f.submit("b", failing).Job
	got = f.giveUpSome(f.at(2*time.Second), 2)
	f.sameIDs(got.Ended, fails.ID)
	equal(f, got.More, false, "more: who waits is not looked at again")
	later := f.submit("a", degrading).Job
	equal(f, later.ExecutionID, j.ExecutionID, "one that comes later shares its execution")
	f.giveUp(f.at(3 * time.Second))
	f.sameIDs(f.finish(f.success(f.claim(f.release(f.now), f.worker()), f.at(time.Minute))), j.ID, later.ID)
	equal(f, f.ended(j.ID, jobs.StatusSucceeded).Degraded, false, "degraded by an answer of the usual target")
}

func unservedInPortions(f *fixture) {
	var want, ended []uuid.UUID
	for i := range 7 {
		want = append(want, f.submit(fmt.Sprint(i), failing).Job.ID)
		f.submit(fmt.Sprint("degrades ", i), degrading)
	}
	for n := 0; ; n++ {
		got := f.giveUpSome(f.at(time.Second), 3)
		if len(got.Ended) > 3 || n > 10 {
			f.t.Fatalf("portion %d: got %d ended, want at most 3, and an end", n, len(got.Ended))
		}
		if ended = append(ended, got.Ended...); !got.More {
			break
		}
	}
	f.sameIDs(ended, want...)
}

func unservedRoutesAreLive(f *fixture) {
	_, work, _ := f.running("a", degrading)
	f.reschedule(f.retry(work, f.at(time.Hour)))
	f.submit("b", withRoute("other"))
	f.submit("c", withRoute("other"), failing)
	f.lines(jobs.Line{Route: route}, jobs.Line{Route: "other"})
	f.giveUp(f.at(time.Second))
	f.lines(jobs.Line{Route: "other"})
}

// listed are the executions that may be released to a lesser target.
func (f *fixture) listed() []jobs.Candidate {
	f.t.Helper()
	return f.readyOf(jobs.ReadyQuery{Route: route, Now: f.now, Tenants: 10, PerTenant: 10, Degradable: true})
}

func degradableIsListed(f *fixture) {
	a := f.submit("a", degrading).Job
	b := f.submit("b", degrading, withTenant("other")).Job
	f.submit("c")
	f.submit("d", failing)
	listed := f.listed()
	equal(f, len(listed), 2, "listed")
	equal(f, listed[0].Execution, a.ExecutionID, "the first")
	equal(f, listed[1].Execution, b.ExecutionID, "the second")
	f.submit("a", degrading)
	waits := f.submit("a").Job
	equal(f, len(f.listed()), 1, "listed when one attached that waits")
	f.cancel(waits.ID)
	equal(f, len(f.listed()), 2, "listed when that one is gone")
}

// releaseDegraded releases to a lesser target what is the store's choice.
func (f *fixture) releaseDegraded(candidates ...jobs.Candidate) []jobs.Task {
	f.t.Helper()
	var releases []jobs.Release
	for _, c := range candidates {
		r := releaseOf(c)
		r.Degraded = true
		releases = append(releases, r)
	}
	return f.releaseThese(f.now, releases...)
}

func degradableIsReleased(f *fixture) {
	a := f.submit("a", degrading).Job
	f.submit("b")
	f.submit("c", degrading)
	listed, all := f.listed(), f.ready(jobs.PriorityNormal, f.now)
	equal(f, len(f.releaseDegraded(listed...)), 0, "released before anybody looked for what is stored")
	f.giveUp(f.now)
	f.submit("c", failing)
	tasks := f.releaseDegraded(append(listed, all...)...)
	equal(f, len(tasks), 1, "released")
	equal(f, tasks[0].Execution, a.ExecutionID, "execution")
	equal(f, f.claim(tasks[0], f.worker()).Degraded, true, "the work is degraded")
	for _, task := range f.releaseAll(f.now) {
		equal(f, f.claim(task, f.worker()).Degraded, false, "other work is degraded")
	}
}

// degraded submits a job that would degrade, and runs it at a lesser target.
func (f *fixture) degraded(name string) (jobs.Job, jobs.Work) {
	f.t.Helper()
	job := f.submit(name, degrading).Job
	f.giveUp(f.now)
	tasks := f.releaseDegraded(f.listed()...)
	equal(f, len(tasks), 1, "released to a lesser target")
	return job, f.claim(tasks[0], f.worker())
}

func (f *fixture) degradedSuccess(w jobs.Work, at time.Time) jobs.Outcome {
	o := f.success(w, at)
	o.Degraded = true
	return o
}

func degradedAnswer(f *fixture) {
	j, w := f.degraded("a")
	second := f.submit("a", degrading).Job
	late := f.submit("a", degrading, withDeadline(f.at(30*time.Second))).Job
	o := f.degradedSuccess(w, f.at(time.Minute))
	f.sameIDs(f.finish(o), j.ID, second.ID, late.ID)
	f.sameIDs(f.finish(o), j.ID, second.ID, late.ID)
	for _, id := range []uuid.UUID{j.ID, second.ID} {
		got := f.ended(id, jobs.StatusSucceeded)
		equal(f, got.Degraded, true, "degraded")
		equal(f, got.Cached, false, "cached")
		equal(f, string(got.Result), answer, "result")
	}
	equal(f, f.ended(late.ID, jobs.StatusExpired).Degraded, false, "degraded of one that expired")
	later := f.submit("a", degrading, withMaxAge(time.Hour), withCreated(f.at(2*time.Minute))).Job
	equal(f, later.Cached, false, "copied for a later job")
	equal(f, len(f.giveUp(f.at(3*time.Minute)).Ended), 0, "later jobs that it answers")
}

func degradedNotForOthers(f *fixture) {
	j, w := f.degraded("a")
	waits := f.submit("a").Job
	equal(f, waits.ExecutionID, j.ExecutionID, "it shares the execution")
	o := f.degradedSuccess(w, f.at(time.Minute))
	_, err := f.store.Finish(f.t.Context(), o)
	f.mustBe(err, jobs.ErrProlonged, "finish with what one of its jobs would not take")
	f.live(j.ID)
	f.live(waits.ID)
	f.reschedule(jobs.Rescheduling{Task: w.Task, Call: f.callOf(w), RunAt: f.now})
	equal(f, len(f.listed()), 0, "listed for a lesser target again")
	f.cancel(waits.ID)
	equal(f, len(f.listed()), 1, "listed when the other is gone")
	equal(f, len(f.calls(j.ID)), 1, "calls: what was spent is recorded")
}

func degradedTakenBack(f *fixture) {
	f.submit("a", degrading)
	f.giveUp(f.now)
	task := f.releaseDegraded(f.listed()...)[0]
	same := f.submit("a", degrading)
	equal(f, same.Ready, false, "ready by one that degrades as well")
	other := f.submit("a")
	equal(f, other.Ready, true, "ready by one that does not")
	_, err := f.store.Claim(f.t.Context(), f.claimOf(task, f.worker()))
	f.mustBe(err, jobs.ErrStale, "claim what was taken back")
	equal(f, f.claim(f.release(f.now), f.worker()).Degraded, false, "the next work is degraded")
}

func degradedFailure(f *fixture) {
	_, w := f.degraded("a")
	o := f.failure(w, f.at(time.Minute))
	o.Degraded = true
	waits := f.submit("a").Job
	_, err := f.store.Finish(f.t.Context(), o)
	f.mustBe(err, jobs.ErrProlonged, "fail what one of its jobs would not have asked")
	f.cancel(waits.ID)
	f.finish(o)
	j, w := f.degraded("b")
	o = f.failure(w, f.at(time.Minute))
	o.Degraded = true
	f.sameIDs(f.finish(o), j.ID)
	equal(f, f.ended(j.ID, jobs.StatusFailed).Degraded, false, "degraded without an answer")
}

// settlesDegraded: the jobs that are left are told as the first ones were.
func settlesDegraded(f *fixture) {
	first, w := f.degraded("a")
	all := []uuid.UUID{first.ID}
	for range 4 {
		all = append(all, f.submit("a", degrading).Job.ID)
	}
	if _, err := f.store.Finish(f.t.Context(), f.degradedSuccess(w, f.at(time.Minute))); err == nil {
		f.t.Fatal("interrupted finish: got no error")
	}
	f.sameIDs(f.settle(), all[2:]...)
	for _, id := range all {
		equal(f, f.ended(id, jobs.StatusSucceeded).Degraded, true, "degraded")
	}
}
