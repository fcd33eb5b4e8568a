package run

import (
	"encoding/json"
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

// decision is what becomes of an execution after a call: it ends with status,
// or, when that is empty, it runs again. A conditional end has both.
type decision struct {
	task jobs.Task
	call jobs.Call
	// gap is the call's longest silence.
	gap time.Duration
	// lane is what the call did to its lane.
	lane lane.Settled
	// tries is how many the run used up.
	tries int
	// message says in our own words why the call failed.
	message string

	status   jobs.Status
	result   json.RawMessage
	jobError *jobs.JobError
	at       time.Time
	// stopAt, if set, makes the end conditional on no later deadline, and degraded on
	// no job that would not degrade.
	stopAt   time.Time
	degraded bool
	// incomplete says that the answer ended at a bound of the request.
	incomplete bool

	runAt     time.Time
	waitingOn jobs.WaitingOn
	target    int
	// failedOver says that another target is to be called at once.
	failedOver bool
	// pause is how long later that is when it is not the same run.
	pause time.Duration
}

func (d *decision) outcome() jobs.Outcome {
	return jobs.Outcome{
		Task: d.task, Call: d.call, Status: d.status, Result: d.result, Error: d.jobError,
		Tries: d.tries, At: d.at, StopAt: d.stopAt, Degraded: d.degraded, Incomplete: d.incomplete,
	}
}

// rescheduling begins with the first target again after a lesser one.
func (d *decision) rescheduling() jobs.Rescheduling {
	if d.degraded {
		d.target = 0
	}
	return jobs.Rescheduling{
		Task: d.task, Call: d.call, RunAt: d.runAt, WaitingOn: d.waitingOn, Tries: d.tries, Target: d.target,
	}
}

// fail ends the execution.
func (d *decision) fail(code, message string) {
	d.status, d.jobError = jobs.StatusFailed, &jobs.JobError{Code: code, Message: message}
}

// refuse turns a success whose answer the store will not have into a failure.
func (d *decision) refuse() {
	d.status, d.result, d.incomplete = jobs.StatusFailed, nil, false
	d.call.Status, d.call.ErrorClass = jobs.CallFailure, providers.Malformed
	d.message = "the answer could not be stored"
	d.jobError = &jobs.JobError{Code: string(providers.Malformed), Message: d.message}
}
