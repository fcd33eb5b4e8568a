package storagetest

import (
	"fmt"
	"reflect"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func prospectRules() []rule {
	return []rule{
		{"a prospect counts what goes before", prospectCounts},
		{"a prospect counts its own tenant and route alone", prospectIsItsOwn},
		{"a prospect does not count what has started", prospectForgetsStarted},
		{"what is released and has not started goes before", releasedGoesBefore},
		{"a released job counts those released before it", releasedCountsReleased},
		{"one that waits for a time says until when", waitingSaysUntil},
		{"one that waits for a time is before nobody", waitingIsBeforeNobody},
		{"only what is queued has a prospect", onlyQueuedHasProspect},
		{"flows are by tenant, route and low priority", flowsAreKept},
		{"flows count until their time", flowsEnd},
		{"rivals are the other backlogs of the pool", rivalsAreOfThePool},
		{"flows replace those before", flowsReplace},
	}
}

func (f *fixture) prospect(j jobs.Job) jobs.Prospect {
	f.t.Helper()
	p, err := f.store.Prospect(f.t.Context(), j.ExecutionID, f.now)
	f.must(err, "prospect")
	return p
}

func (f *fixture) same(got, want jobs.Prospect, what string) {
	f.t.Helper()
	if !reflect.DeepEqual(got, want) {
		f.t.Fatalf("%s: got %+v, want %+v", what, got, want)
	}
}

// before fails the test unless so many go before the job.
func (f *fixture) before(j jobs.Job, above, own int) {
	f.t.Helper()
	p := f.prospect(j)
	if p.Above != above || p.Own != own {
		f.t.Fatalf("before the job: got %d above and %d of its own priority, want %d and %d", p.Above, p.Own, above, own)
	}
}

func prospectCounts(f *fixture) {
	normal := func(name string, left time.Duration) jobs.Job {
		return f.submit(name, withDeadline(f.at(left))).Job
	}
	third, fourth := normal("third", 2*time.Hour), normal("fourth", 2*time.Hour)
	first, second := normal("first", time.Minute), normal("second", time.Hour)
	low := f.submit("low", withPriority(jobs.PriorityLow)).Job
	lower := f.submit("lower", withPriority(jobs.PriorityLow), withDeadline(f.at(3*time.Hour))).Job
	for i, j := range []jobs.Job{first, second, third, fourth} {
		f.before(j, 0, i)
	}
	f.before(low, 4, 0)
	f.before(lower, 4, 1)
	high := f.submit("high", withPriority(jobs.PriorityHigh)).Job
	f.before(high, 0, 0)
	f.before(third, 1, 2)
	f.before(lower, 5, 1)
	p := f.prospect(third)
	f.same(p, jobs.Prospect{Above: 1, Own: 2}, "prospect where nothing flows")
	f.submit("third", withPriority(jobs.PriorityHigh))
	f.before(third, 0, 0)
	f.before(high, 0, 1)
}

func prospectIsItsOwn(f *fixture) {
	f.submit("a", withTenant("other"))
	f.submit("a", withTenant("other"), withPriority(jobs.PriorityHigh))
	f.submit("b", withRoute("other"))
	f.submit("c", withRoute("other"), withPriority(jobs.PriorityHigh))
	f.before(f.submit("d").Job, 0, 0)
}

func prospectForgetsStarted(f *fixture) {
	f.submit("high", withPriority(jobs.PriorityHigh))
	f.submit("a")
	w := f.worker()
	for _, task := range f.releaseAll(f.now) {
		f.claim(task, w)
	}
	f.submit("b")
	last := f.submit("c").Job
	f.before(last, 0, 1)
	f.before(f.submit("low", withPriority(jobs.PriorityLow)).Job, 2, 0)
}

func releasedGoesBefore(f *fixture) {
	f.submit("late", withDeadline(f.at(3*time.Hour)))
	f.submit("early")
	f.submit("high", withPriority(jobs.PriorityHigh))
	f.releaseAll(f.now)
	f.before(f.submit("next", withDeadline(f.at(2*time.Hour))).Job, 1, 2)
}

func releasedCountsReleased(f *fixture) {
	one := f.submit("one", withDeadline(f.at(2*time.Hour))).Job
	two := f.submit("two", withDeadline(f.at(time.Hour))).Job
	f.releaseAll(f.now)
	three := f.submit("three", withDeadline(f.at(time.Minute))).Job
	f.releaseAll(f.at(time.Second))
	high := f.submit("high", withPriority(jobs.PriorityHigh)).Job
	f.releaseAll(f.at(2 * time.Second))
	f.submit("queued", withPriority(jobs.PriorityHigh))
	f.before(two, 1, 0)
	f.before(one, 1, 1)
	f.before(three, 1, 2)
	f.before(high, 0, 0)
	equal(f, f.prospect(three).Released, true, "released")
}

func waitingSaysUntil(f *fixture) {
	job := f.waiting("a", f.at(time.Minute))
	p := f.prospect(job)
	equal(f, p.RunAt.Equal(f.at(time.Minute)), true, fmt.Sprintf("%v is in a minute", p.RunAt))
	equal(f, p.Released, false, "released")
	p, err := f.store.Prospect(f.t.Context(), job.ExecutionID, f.at(time.Minute))
	f.must(err, "prospect")
	equal(f, p.RunAt.IsZero(), true, "it waits for its turn at its time")
}

func waitingIsBeforeNobody(f *fixture) {
	f.waiting("a", f.at(time.Minute))
	job := f.submit("b").Job
	f.before(job, 0, 0)
	f.unpark(f.at(time.Minute), 10)
	f.before(job, 0, 1)
}

func onlyQueuedHasProspect(f *fixture) {
	running, _, _ := f.running("a")
	ended := f.submit("b").Job
	f.cancel(ended.ID)
	for _, j := range []jobs.Job{running, ended, {ExecutionID: newID(f.t)}} {
		_, err := f.store.Prospect(f.t.Context(), j.ExecutionID, f.now)
		f.mustBe(err, jobs.ErrNotFound, "prospect")
	}
}

func (f *fixture) setFlows(until time.Time, flows ...jobs.Flow) {
	f.t.Helper()
	f.must(f.store.SetFlows(f.t.Context(), flows, until), "set flows")
}

// flow is the same flow in every respect but whose it is.
func flow(tenant, route string, low bool, rate float64) jobs.Flow {
	return jobs.Flow{
		Tenant: tenant, Route: route, Low: low, Rate: rate, Run: 1234567 * time.Microsecond, WaitingOn: jobs.WaitingOnFairness,
	}
}

func flowsAreKept(f *fixture) {
	normal, low := f.submit("a").Job, f.submit("b", withPriority(jobs.PriorityLow)).Job
	high := f.submit("c", withPriority(jobs.PriorityHigh)).Job
	f.setFlows(f.at(time.Second),
		flow(tenant, route, false, 2.5), flow(tenant, route, true, 0.25), flow("other", route, false, 9),
		flow(tenant, "other", false, 9), jobs.Flow{Route: route, Run: 7 * time.Second}, jobs.Flow{Route: "other", Run: 9})
	want := flow("", "", false, 2.5)
	equal(f, f.prospect(normal).Flow, want, "flow of normal priority")
	equal(f, f.prospect(high).Flow, want, "flow of high priority")
	equal(f, f.prospect(low).Flow, flow("", "", true, 0.25), "flow of low priority")
	equal(f, f.prospect(low).Run, 7*time.Second, "run of the route")
}

func flowsEnd(f *fixture) {
	job := f.submit("a").Job
	f.setFlows(f.now, flow(tenant, route, false, 1), jobs.Flow{Route: route, Run: time.Second})
	f.same(f.prospect(job), jobs.Prospect{}, "prospect at their time")
}

func flowsReplace(f *fixture) {
	job := f.submit("a").Job
	f.setFlows(f.at(time.Second), flow(tenant, route, false, 1), jobs.Flow{Route: route, Run: time.Second})
	f.setFlows(f.at(2*time.Second), jobs.Flow{Route: route, Run: time.Minute})
	f.same(f.prospect(job), jobs.Prospect{Run: time.Minute}, "prospect")
	f.setFlows(f.at(2*time.Second), jobs.Flow{Route: route, Run: time.Minute, WaitingOn: jobs.WaitingOnBreaker})
	f.same(f.prospect(job), jobs.Prospect{Run: time.Minute, Closed: jobs.WaitingOnBreaker}, "prospect of a closed route")
	f.setFlows(f.at(3 * time.Second))
	f.same(f.prospect(job), jobs.Prospect{}, "prospect where nothing flows")
}

func rivalsAreOfThePool(f *fixture) {
	job := f.submit("a").Job
	for i := range 5 {
		f.submit(fmt.Sprint(i), withTenant("b"))
		f.submit(fmt.Sprint(i), withTenant("c"), withRoute("other"), withPriority(jobs.PriorityHigh))
	}
	f.submit("normal", withTenant("c"), withRoute("other"))
	f.submit("low", withTenant("c"), withRoute("other"), withPriority(jobs.PriorityLow))
	in := func(pool, tenant, route string, low bool, rate float64) jobs.Flow {
		f := flow(tenant, route, low, rate)
		f.Pool = pool
		return f
	}
	f.setFlows(f.at(time.Second),
		in("sim", tenant, route, false, 1), in("sim", tenant, route, true, 2), in("sim", "b", route, false, 3),
		in("sim", "c", "other", false, 4), in("sim", "c", "other", true, 5), in("other", "d", route, false, 6),
		jobs.Flow{Route: route, Run: time.Second, Pool: "sim"})
	want := flow("", "", false, 1)
	p := f.prospect(job)
	f.same(p, jobs.Prospect{Flow: want, Run: time.Second, Rivals: []jobs.Rival{
		{Rate: 2}, {Rate: 3, Left: 5}, {Rate: 4, Left: 6}, {Rate: 5, Left: 1},
	}}, "prospect")
}
