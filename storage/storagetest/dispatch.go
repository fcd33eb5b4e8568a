package storagetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func dispatchRules() []rule {
	return []rule{
		{"a candidate is whole", candidateIsWhole},
		{"ready goes by deadline, then age", readyGoesByDeadline},
		{"ready goes on after a tenant", readyGoesOnAfterTenant},
		{"ready bounds each tenant", readyBoundsTenant},
		{"invariant 9: tenants with nothing ready do not fill a page", waitingTenantsDoNotFill},
		{"ready is by route and priority", readyIsByRouteAndPriority},
		{"routes are those of live executions", routesAreLive},
		{"what waits for a time comes back at it", waitingComesBack},
		{"the longest due come back first", longestDueComesFirst},
		{"what waits keeps its place and its word", waitingKeepsItsPlace},
		{"a release takes the next fence", releaseTakesNextFence},
		{"a release is made once", releaseIsMadeOnce},
		{"a candidate from before another release is past", oldCandidateIsPast},
		{"an execution is not released before its time", notReleasedEarly},
		{"what ended is not released", endedIsNotReleased},
		{"outstanding counts releases", outstandingCounts},
		{"a lease has one holder", leaseHasOneHolder},
		{"a lease ends", leaseEnds},
	}
}

func candidateIsWhole(f *fixture) {
	s := f.submission("a", withPriority(jobs.PriorityHigh))
	f.keep(s)
	ready := f.ready(jobs.PriorityHigh, f.now)
	equal(f, len(ready), 1, "ready executions")
	equal(f, ready[0], jobs.Candidate{
		Execution: s.Execution, Tenant: tenant, Route: route, Priority: jobs.PriorityHigh,
		Deadline: s.Job.Deadline, Cost: 7,
	}, "candidate")
}

func readyGoesByDeadline(f *fixture) {
	third := f.submit("third", withDeadline(f.at(2*time.Hour))).Job
	fourth := f.submit("fourth", withDeadline(f.at(2*time.Hour))).Job
	first := f.submit("first", withDeadline(f.at(time.Minute))).Job
	second := f.submit("second", withDeadline(f.at(time.Hour))).Job
	got := f.ready(jobs.PriorityNormal, f.now)
	equal(f, len(got), 4, "ready executions")
	for i, want := range []jobs.Job{first, second, third, fourth} {
		equal(f, got[i].Execution, want.ExecutionID, fmt.Sprintf("execution %d", i))
	}
}

// tenantsOf lists the tenants of candidates in their order.
func tenantsOf(candidates []jobs.Candidate) []string {
	var names []string
	for _, c := range candidates {
		names = append(names, c.Tenant)
	}
	return names
}

func (f *fixture) sameTenants(q jobs.ReadyQuery, want ...string) {
	f.t.Helper()
	if got := tenantsOf(f.readyOf(q)); !slices.Equal(got, want) {
		f.t.Fatalf("tenants of %+v: got %v, want %v", q, got, want)
	}
}

func readyGoesOnAfterTenant(f *fixture) {
	for _, name := range []string{"d", "b", "a", "c"} {
		f.submit("x", withTenant(name))
		f.submit("y", withTenant(name))
	}
	q := jobs.ReadyQuery{Route: route, Now: f.now, Tenants: 2, PerTenant: 10}
	f.sameTenants(q, "a", "a", "b", "b")
	q.AfterTenant = "b"
	f.sameTenants(q, "c", "c", "d", "d")
	q.AfterTenant = "bb"
	f.sameTenants(q, "c", "c", "d", "d")
	q.AfterTenant = "d"
	f.sameTenants(q)
}

func readyBoundsTenant(f *fixture) {
	for i := range 5 {
		f.submit(fmt.Sprint(i), withTenant("big"))
	}
	f.submit("x", withTenant("small"))
	q := jobs.ReadyQuery{Route: route, Now: f.now, Tenants: 10, PerTenant: 3}
	f.sameTenants(q, "big", "big", "big", "small")
}

func waitingTenantsDoNotFill(f *fixture) {
	w := f.worker()
	for _, name := range []string{"a", "b", "c"} {
		f.submit("x", withTenant(name))
		f.reschedule(f.retry(f.claim(f.release(f.now), w), f.at(time.Hour)))
	}
	f.submit("x", withTenant("d"))
	f.submit("x", withTenant("e"))
	f.sameTenants(jobs.ReadyQuery{Route: route, Now: f.now, Tenants: 1, PerTenant: 5}, "d")
}

func readyIsByRouteAndPriority(f *fixture) {
	f.submit("a", withRoute("other"))
	f.submit("b", withPriority(jobs.PriorityLow))
	equal(f, len(f.ready(jobs.PriorityNormal, f.now)), 0, "of this route and priority")
	q := jobs.ReadyQuery{Route: "other", Now: f.now, Tenants: 10, PerTenant: 10}
	equal(f, len(f.readyOf(q)), 1, "of the other route")
	equal(f, len(f.ready(jobs.PriorityLow, f.now)), 1, "of the other priority")
}

func routesAreLive(f *fixture) {
	f.lines()
	job := f.submit("a", withRoute("one")).Job
	f.submit("b", withRoute("one"))
	f.submit("c", withRoute("two"), withPriority(jobs.PriorityLow))
	f.lines(jobs.Line{Route: "one"}, jobs.Line{Route: "two"})
	f.cancel(job.ID)
	f.lines(jobs.Line{Route: "one"}, jobs.Line{Route: "two"})
}

func releaseTakesNextFence(f *fixture) {
	s := f.submission("a", withPriority(jobs.PriorityLow))
	f.keep(s)
	got := f.release(f.now)
	equal(f, got, jobs.Task{Execution: s.Execution, Fence: 1, Provider: provider, Priority: jobs.PriorityLow}, "task")
	equal(f, f.live(s.Job.ID).Status, jobs.StatusQueued, "status of a released job")
	equal(f, f.job(s.Job.ID).WaitingOn, jobs.WaitingOnCapacity, "what a released job waits on")
}

func releaseIsMadeOnce(f *fixture) {
	f.submit("a")
	f.submit("b")
	ready := f.ready(jobs.PriorityNormal, f.now)
	first := f.releaseThese(f.now, releaseOf(ready[0]))
	equal(f, len(first), 1, "releases")
	both := f.releaseThese(f.now, releaseOf(ready[0]), releaseOf(ready[1]))
	equal(f, len(both), 1, "releases of one that has moved and one that has not")
	equal(f, both[0].Execution, ready[1].Execution, "execution")
	wrong := releaseOf(ready[0])
	wrong.Fence = first[0].Fence
	equal(f, len(f.releaseThese(f.now, wrong)), 0, "releases of one that is released")
	equal(f, len(f.ready(jobs.PriorityNormal, f.at(24*time.Hour))), 0, "ready executions, a day on")
	equal(f, len(f.releaseThese(f.now)), 0, "releases of none")
}

func oldCandidateIsPast(f *fixture) {
	f.submit("a")
	old := f.ready(jobs.PriorityNormal, f.now)[0]
	f.reschedule(f.retry(f.claim(f.release(f.now), f.worker()), f.now))
	equal(f, len(f.releaseThese(f.now, releaseOf(old))), 0, "releases under a fence that has moved")
	equal(f, f.release(f.now).Fence, 2, "fence of the next release")
}

func notReleasedEarly(f *fixture) {
	_, work, _ := f.running("a")
	f.reschedule(f.retry(work, f.at(time.Minute)))
	equal(f, len(f.ready(jobs.PriorityNormal, f.at(time.Minute-time.Millisecond))), 0, "ready before its time")
	ready := f.ready(jobs.PriorityNormal, f.at(time.Minute))
	equal(f, len(ready), 1, "ready at its time")
	early := f.releaseThese(f.at(time.Minute-time.Millisecond), releaseOf(ready[0]))
	equal(f, len(early), 0, "releases before its time")
	equal(f, len(f.releaseThese(f.at(time.Minute), releaseOf(ready[0]))), 1, "releases at its time")
}

func (f *fixture) unpark(now time.Time, limit int) (n int, next time.Time) {
	f.t.Helper()
	n, next, err := f.store.Unpark(f.t.Context(), now, limit)
	f.must(err, "unpark")
	return n, next
}

// waiting submits, runs and gives back one execution.
func (f *fixture) waiting(name string, runAt time.Time) jobs.Job {
	f.t.Helper()
	job, work, _ := f.running(name)
	f.reschedule(f.retry(work, runAt))
	return job
}

func waitingComesBack(f *fixture) {
	n, next := f.unpark(f.at(24*time.Hour), 10)
	equal(f, n, 0, "brought back of nothing")
	equal(f, next, time.Time{}, "when the next of nothing is due")
	due := f.at(time.Minute).Add(1234 * time.Microsecond)
	f.waiting("a", due)
	n, next = f.unpark(due.Add(-time.Microsecond), 10)
	equal(f, n, 0, "brought back before its time")
	equal(f, next.Equal(due), true, "when it is due is known to the microsecond")
	f.submit("b", withRoute("other")) // what is left is the one that waits
	n, next = f.unpark(due, 10)
	equal(f, n, 1, "brought back at its time")
	equal(f, next, time.Time{}, "when the next is due")
	equal(f, len(f.readyAlone(jobs.PriorityNormal, due)), 1, "ready")
	n, _ = f.unpark(f.at(24*time.Hour), 10)
	equal(f, n, 0, "brought back again")
	f.finish(f.success(f.claim(f.releaseThese(due, releaseOf(f.readyAlone(jobs.PriorityNormal, due)[0]))[0], f.worker()), due))
}

func longestDueComesFirst(f *fixture) {
	third := f.waiting("third", f.at(3*time.Minute))
	first := f.waiting("first", f.at(time.Minute))
	second := f.waiting("second", f.at(2*time.Minute))
	fourth := f.waiting("fourth", f.at(time.Hour))
	at := f.at(10 * time.Minute)
	for i, want := range []jobs.Job{first, second, third} {
		n, next := f.unpark(at, 1)
		equal(f, n, 1, "brought back")
		equal(f, next.Equal(f.at(time.Hour)), true, "when the next beyond those due is due")
		ready := f.readyAlone(jobs.PriorityNormal, at)
		equal(f, len(ready), i+1, "ready")
		held := slices.ContainsFunc(ready, func(c jobs.Candidate) bool { return c.Execution == want.ExecutionID })
		equal(f, held, true, fmt.Sprintf("%d is ready", i))
	}
	n, _ := f.unpark(at, 1)
	equal(f, n, 0, "brought back before its time")
	equal(f, f.job(fourth.ID).WaitingOn, jobs.WaitingOnRetry, "what the fourth waits on")
}

// waitingKeepsItsPlace: attaching to one that waits raises it but does not make
// it ready, cancelling it ends it, and one released again waits no more.
func waitingKeepsItsPlace(f *fixture) {
	job := f.waiting("a", f.at(time.Minute))
	got := f.submit("a", withPriority(jobs.PriorityHigh))
	equal(f, got.Ready, false, "ready by attaching")
	equal(f, got.Job.WaitingOn, jobs.WaitingOnRetry, "what the attached job waits on")
	f.unpark(f.at(time.Minute-time.Second), 10)
	equal(f, len(f.readyAlone(jobs.PriorityHigh, f.at(time.Hour))), 0, "ready before its time")
	f.unpark(f.at(time.Minute), 10)
	equal(f, len(f.readyAlone(jobs.PriorityHigh, f.at(time.Minute))), 1, "ready at its time")
	task := f.release(f.at(time.Minute))
	_, err := f.store.Requeue(f.t.Context(), []jobs.Task{task})
	f.must(err, "requeue")
	equal(f, len(f.readyAlone(jobs.PriorityHigh, f.now)), 1, "ready when its release is taken back")
	f.cancel(job.ID)
	f.cancel(got.Job.ID)
	n, next := f.unpark(f.at(time.Hour), 10)
	equal(f, n, 0, "brought back of what has ended")
	equal(f, next, time.Time{}, "when the next is due")
}

func endedIsNotReleased(f *fixture) {
	job := f.submit("a").Job
	ready := f.ready(jobs.PriorityNormal, f.now)
	f.cancel(job.ID)
	equal(f, len(f.releaseThese(f.now, releaseOf(ready[0]))), 0, "releases of an execution that ended")
}

func outstandingCounts(f *fixture) {
	count := func() map[jobs.Outstanding]bool {
		got, err := f.store.Outstanding(f.t.Context())
		f.must(err, "count what is outstanding")
		set := map[jobs.Outstanding]bool{}
		for _, o := range got {
			set[o] = true
		}
		equal(f, len(set), len(got), "rows, none twice")
		return set
	}
	equal(f, len(count()), 0, "rows of an empty store")
	f.submit("a")
	f.submit("b")
	f.submit("a", withTenant("other"))
	equal(f, len(count()), 0, "rows before a release")
	tasks := f.releaseAll(f.now)
	f.submit("c")
	another := releaseOf(f.ready(jobs.PriorityNormal, f.now)[0])
	another.Model = "other"
	tasks = append(tasks, f.releaseThese(f.now, another)...)
	want := []jobs.Outstanding{
		{Provider: provider, Model: model, Tenant: tenant, Count: 2},
		{Provider: provider, Model: model, Tenant: "other", Count: 1},
		{Provider: provider, Model: "other", Tenant: tenant, Count: 1},
	}
	got := count()
	for _, o := range want {
		equal(f, got[o], true, fmt.Sprintf("%+v is in %v", o, got))
	}
	w := f.worker()
	for _, task := range tasks {
		f.finish(f.success(f.claim(task, w), f.at(time.Minute)))
	}
	equal(f, len(count()), 0, "rows when all is finished")
}

func (f *fixture) lease(holder jobs.Worker, ttl time.Duration) bool {
	f.t.Helper()
	got, err := f.store.Lease(f.t.Context(), "dispatch", holder.ID, ttl)
	f.must(err, "lease")
	return got
}

func leaseHasOneHolder(f *fixture) {
	a, b := f.worker(), f.worker()
	equal(f, f.lease(a, time.Hour), true, "a takes it")
	equal(f, f.lease(b, time.Hour), false, "b takes a's")
	equal(f, f.lease(a, time.Hour), true, "a renews it")
	f.must(f.store.Unlease(f.t.Context(), "dispatch", b.ID), "b gives up what it has not")
	equal(f, f.lease(b, time.Hour), false, "b takes a's still")
	f.must(f.store.Unlease(f.t.Context(), "dispatch", a.ID), "a gives it up")
	equal(f, f.lease(b, time.Hour), true, "b takes what is free")
	other, err := f.store.Lease(f.t.Context(), "upkeep", a.ID, time.Hour)
	f.must(err, "lease")
	equal(f, other, true, "a takes another")
}

func leaseEnds(f *fixture) {
	a, b := f.worker(), f.worker()
	equal(f, f.lease(a, time.Microsecond), true, "a takes it")
	for range 100_000 {
		if f.lease(b, time.Hour) {
			equal(f, f.lease(a, time.Hour), false, "a takes b's")
			return
		}
	}
	f.t.Fatal("a lease of a microsecond has not ended")
}
