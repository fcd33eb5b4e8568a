package run

import (
	"time"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers/lane"
)

// Observer is told what a runner does, for logs and metrics. Any field may be
// nil. The functions are called from many goroutines and must not block.
type Observer struct {
	// Started is told of each call just before it is made.
	Started func(w jobs.Work)
	// Ended is told of each call when what came of it is recorded or given up:
	// the one line per attempt.
	Ended func(a Attempt)
	// Error is told of a failure of the store or the queue, once for each row of
	// failures.
	Error func(err error)
	// Panicked is told of a panic in a provider: the type of its value, which
	// itself might quote a request, and the stack.
	Panicked func(task jobs.Task, kind string, stack []byte)
}

// Attempt is all that is known about one call. It holds no prompt and nothing
// of an answer.
type Attempt struct {
	Task        jobs.Task
	RequestHash string
	Route       string
	// Call is closed; its Partial is left out.
	Call jobs.Call
	// Gap is the longest silence between two pieces of the answer, or after the last;
	// zero when nothing came.
	Gap time.Duration
	// Lane is what the call did to its lane: it may have opened or closed its breaker.
	Lane lane.Settled
	// Result says what became of the execution.
	Result Result
	// Tries counts this run's as well.
	Tries int
	// RunAt and WaitingOn are set for [Rescheduled].
	RunAt     time.Time
	WaitingOn jobs.WaitingOn
	// Message says in our own words why the call failed; empty for a success.
	Message string
	// Err says why the outcome could not be recorded, for [Unrecorded].
	Err error
}

// Result is what became of an execution after one of its calls.
type Result string

// The results.
const (
	Succeeded   Result = "succeeded"
	Failed      Result = "failed"
	Rescheduled Result = "rescheduled"
	// Stale: it was another's by then; only the call is recorded.
	Stale Result = "stale"
	// FailedOver: the next target was called in the same run.
	FailedOver Result = "failed_over"
	// Outrun: a hedge or what it was to hedge was first.
	Outrun Result = "outrun"
	// NotMade: a further call of the run was not let through by its lane.
	NotMade Result = "not_made"
	// Unrecorded: the worker ended, or the store refused, before it was kept. It
	// runs again.
	Unrecorded Result = "unrecorded"
)

func (o Observer) started(w jobs.Work) {
	if o.Started != nil {
		w.Body = nil
		o.Started(w)
	}
}

func (o Observer) ended(a Attempt) {
	if o.Ended != nil {
		a.Call.Partial = ""
		o.Ended(a)
	}
}

func (o Observer) error(err error) {
	if o.Error != nil {
		o.Error(err)
	}
}

func (o Observer) panicked(task jobs.Task, kind string, stack []byte) {
	if o.Panicked != nil {
		o.Panicked(task, kind, stack)
	}
}
