package storagetest

import (
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

func callRules() []rule {
	return []rule{
		{"a run opens further calls", runOpensCalls},
		{"invariant 2: only the worker whose run it is opens calls", othersOpenNothing},
		{"a call is closed also when its run is over", lateCallIsClosed},
		{"what arrived of a closed call is kept", closedCallKeepsPartial},
		{"all calls of a retired worker are closed", retiredHedgesAreClosed},
	}
}

// another returns a further call of the run, open.
func (f *fixture) another(w jobs.Work) jobs.Call {
	return jobs.Call{
		ID: newID(f.t), Execution: w.Task.Execution, Fence: w.Task.Fence, Tenant: w.Tenant, RequestHash: w.RequestHash,
		Provider: "other", Model: "other-1", CreatedAt: f.at(time.Minute),
	}
}

// opened opens a further call of the run.
func (f *fixture) opened(w jobs.Work, by jobs.Worker) jobs.Call {
	f.t.Helper()
	c := f.another(w)
	for range 2 {
		f.must(f.store.OpenCall(f.t.Context(), by.ID, c), "open a call")
	}
	return c
}

func runOpensCalls(f *fixture) {
	job, work, by := f.running("a")
	c := f.opened(work, by)
	calls := f.calls(job.ID)
	equal(f, len(calls), 2, "calls")
	equal(f, calls[1], c, "the second call")
	o := f.success(work, f.at(2*time.Minute))
	o.Call.ID, o.Call.Provider, o.Call.Model, o.Call.CreatedAt = c.ID, c.Provider, c.Model, c.CreatedAt
	f.finish(o)
	equal(f, f.job(job.ID).Provider, c.Provider, "the provider of the call that decided")
	equal(f, f.calls(job.ID)[1].Status, jobs.CallSuccess, "status of the call that decided")
}

func othersOpenNothing(f *fixture) {
	job, work, by := f.running("a")
	stale := f.another(work)
	f.mustBe(f.store.OpenCall(f.t.Context(), f.worker().ID, stale), jobs.ErrStale, "open a call of another's run")
	stale.Fence++
	f.mustBe(f.store.OpenCall(f.t.Context(), by.ID, stale), jobs.ErrStale, "open a call under another fence")
	f.finish(f.success(work, f.at(time.Minute)))
	f.mustBe(f.store.OpenCall(f.t.Context(), by.ID, f.another(work)), jobs.ErrStale, "open a call of what has ended")
	equal(f, len(f.calls(job.ID)), 1, "calls")
}

func lateCallIsClosed(f *fixture) {
	job, work, by := f.running("a")
	c := f.opened(work, by)
	f.finish(f.success(work, f.at(time.Minute)))
	c.Status, c.ErrorClass, c.Latency = jobs.CallCancelled, providers.Cancelled, time.Second
	f.must(f.store.CloseCall(f.t.Context(), c), "close a call")
	equal(f, f.calls(job.ID)[1], c, "the closed call")
	again := c
	again.Status, again.ErrorClass = jobs.CallFailure, providers.ServerError
	f.must(f.store.CloseCall(f.t.Context(), again), "close it again")
	equal(f, f.calls(job.ID)[1], c, "the call, closed twice")
}

func closedCallKeepsPartial(f *fixture) {
	job, work, by := f.running("a")
	c := f.opened(work, by)
	c.Status, c.ErrorClass, c.Partial = jobs.CallFailure, providers.Truncated, "half an ans"
	f.must(f.store.CloseCall(f.t.Context(), c), "close a call")
	equal(f, f.calls(job.ID)[1].Partial, "half an ans", "what arrived")
	equal(f, f.live(job.ID).Status, jobs.StatusRunning, "status")
}

func retiredHedgesAreClosed(f *fixture) {
	job, work, by := f.running("a")
	f.opened(work, by)
	f.must(f.store.Retire(f.t.Context(), by.ID), "retire")
	for _, c := range f.calls(job.ID) {
		equal(f, c.Status, jobs.CallCancelled, "status of a retired worker's call")
	}
}
