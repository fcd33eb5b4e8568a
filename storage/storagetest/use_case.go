package storagetest

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/penstock-dev/penstock/jobs"
)

func useCaseRules() []rule {
	return []rule{
		{"what a job is for is kept, and an execution is for what made it", useCaseIsKept},
		{"invariant 9: what is ready is listed by use case", readyIsByUseCase},
		{"lines are those of live executions", linesAreLive},
		{"outstanding counts by use case", outstandingIsByUseCase},
		{"a prospect counts its own line alone", prospectIsOfItsLine},
		{"flows are by use case", flowsAreByUseCase},
	}
}

func withUseCase(name string) edit { return func(s *jobs.Submission) { s.Job.UseCase = name } }

func useCaseIsKept(f *fixture) {
	chat := f.submit("a", withUseCase("chat")).Job
	none := f.submit("b").Job
	report := f.submit("a", withUseCase("reports")).Job
	equal(f, f.job(chat.ID).UseCase, "chat", "use case")
	equal(f, f.job(none.ID).UseCase, "", "use case of one that did not say")
	equal(f, f.job(report.ID).UseCase, "reports", "use case of one that attached")
	q := jobs.ReadyQuery{Route: route, UseCase: "chat", Now: f.now, Tenants: 10, PerTenant: 10}
	ready := f.readyOf(q)
	equal(f, len(ready), 1, "ready")
	equal(f, ready[0].Execution, chat.ExecutionID, "execution")
	equal(f, ready[0].UseCase, "chat", "use case of the execution")
	f.cancel(chat.ID)
	equal(f, len(f.readyOf(q)), 1, "ready for what made it when who did is gone")
}

func readyIsByUseCase(f *fixture) {
	for i := range 5 {
		f.submit(fmt.Sprint(i), withUseCase("reports"), withDeadline(f.at(time.Minute)))
	}
	f.submit("chat", withUseCase("chat"))
	f.submit("chat", withUseCase("chat"), withTenant("other"), withPriority(jobs.PriorityLow))
	f.submit("none")
	for useCase, want := range map[string]int{"reports": 3, "chat": 1, "": 1, "other": 0} {
		q := jobs.ReadyQuery{Route: route, UseCase: useCase, Now: f.now, Tenants: 10, PerTenant: 3}
		equal(f, len(f.readyOf(q)), want, "ready for "+useCase)
	}
}

func linesAreLive(f *fixture) {
	for _, l := range []jobs.Line{{Route: "one", UseCase: "b"}, {Route: "one"}, {Route: "two", UseCase: "a"}} {
		for i := range 3 {
			f.submit(fmt.Sprint(l, i), withRoute(l.Route), withUseCase(l.UseCase))
		}
	}
	f.submit("fails", withRoute("three"), withUseCase("c"), failing)
	f.lines(jobs.Line{Route: "one"}, jobs.Line{Route: "one", UseCase: "b"}, jobs.Line{Route: "three", UseCase: "c"},
		jobs.Line{Route: "two", UseCase: "a"})
}

// lines fails the test unless those are the lines of live executions.
func (f *fixture) lines(want ...jobs.Line) {
	f.t.Helper()
	got, err := f.store.Routes(f.t.Context())
	f.must(err, "list lines")
	slices.SortFunc(got, func(a, b jobs.Line) int {
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.UseCase, b.UseCase))
	})
	if !slices.Equal(got, want) {
		f.t.Fatalf("lines: got %v, want %v", got, want)
	}
}

func outstandingIsByUseCase(f *fixture) {
	f.submit("a", withUseCase("chat"))
	f.submit("b", withUseCase("chat"))
	f.submit("c")
	for _, useCase := range []string{"chat", ""} {
		q := jobs.ReadyQuery{Route: route, UseCase: useCase, Now: f.now, Tenants: 10, PerTenant: 10}
		for _, c := range f.readyOf(q) {
			f.releaseThese(f.now, releaseOf(c))
		}
	}
	got, err := f.store.Outstanding(f.t.Context())
	f.must(err, "count what is outstanding")
	slices.SortFunc(got, func(a, b jobs.Outstanding) int { return cmp.Compare(a.UseCase, b.UseCase) })
	want := []jobs.Outstanding{
		{Provider: provider, Model: model, Tenant: tenant, Count: 1},
		{Provider: provider, Model: model, Tenant: tenant, UseCase: "chat", Count: 2},
	}
	if !slices.Equal(got, want) {
		f.t.Fatalf("outstanding: got %+v, want %+v", got, want)
	}
}

func prospectIsOfItsLine(f *fixture) {
	for i := range 3 {
		f.submit(fmt.Sprint(i), withUseCase("reports"), withDeadline(f.at(time.Minute)))
		f.submit(fmt.Sprint("high ", i), withUseCase("reports"), withPriority(jobs.PriorityHigh))
	}
	f.before(f.submit("chat", withUseCase("chat")).Job, 0, 0)
	f.before(f.submit("report", withUseCase("reports")).Job, 3, 3)
}

func flowsAreByUseCase(f *fixture) {
	chat, none := f.submit("a", withUseCase("chat")).Job, f.submit("b").Job
	of := func(useCase string, rate float64) jobs.Flow {
		l := flow(tenant, route, false, rate)
		l.UseCase = useCase
		return l
	}
	f.setFlows(f.at(time.Second), of("chat", 2), of("", 3),
		jobs.Flow{Route: route, UseCase: "chat", Run: time.Second}, jobs.Flow{Route: route, Run: time.Minute})
	equal(f, f.prospect(chat).Flow.Rate, 2, "rate of the use case")
	equal(f, f.prospect(none).Flow.Rate, 3, "rate of those that did not say")
	equal(f, f.prospect(chat).Run, time.Second, "run of the line")
	equal(f, len(f.prospect(chat).Rivals), 1, "rivals: the same tenant for another use")
}
