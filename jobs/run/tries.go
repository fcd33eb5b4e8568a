package run

import (
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// forgiving is in how many releases of an execution a failure may use no try. It
// bounds what becomes of a request that brings its provider down by itself and is
// alone there; where there are others, their successes show that it is.
const forgiving = 200

// isTry reports whether the failed call uses up one of the execution's tries.
func (a *attempt) isTry(w jobs.Work) bool {
	return a.failure.Policy().Try && (w.Task.Fence > forgiving || !a.metOutage())
}

// metOutage reports whether the call failed as any other would have: nothing of an
// answer came, and the lane was down by what became of others. Then it waited, and
// that is no failure of the request's. How many such calls there are is bounded by
// the lane's breaker: it is open soon, and lets one through at a time.
func (a *attempt) metOutage() bool {
	e := a.failure
	policy := e.Policy()
	return a.settled.Down && policy.Breaker && policy.Next == providers.RetryHere &&
		e.TimeToFirstToken == 0 && e.Partial == ""
}
