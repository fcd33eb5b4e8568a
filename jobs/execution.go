package jobs

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/providers"
)

// MaxCrashes is how many crashes an execution may have been running in before
// it ends failed as poisoned.
const MaxCrashes = 3

// Task names one release of an execution: the work a worker may do under one
// fence. It is all that goes through the queue.
type Task struct {
	Execution uuid.UUID
	// Fence grows by one at each release. A worker's writes carry it.
	Fence int64
	// Provider and Priority choose the queue the task goes to.
	Provider string
	Priority Priority
}

// Candidate is an execution that may be released.
type Candidate struct {
	Execution uuid.UUID
	Tenant    string
	Route     string
	// UseCase is that of the job that made it.
	UseCase string
	// Target is the index, in the route's targets, of the one to call next.
	Target   int
	Fence    int64
	Priority Priority
	Deadline time.Time
	// Cost is an estimate in tokens, at least 1.
	Cost int64
}

// Release permits one run of an execution against one target.
type Release struct {
	Execution uuid.UUID
	// Fence is the candidate's; the release is made under the next one, and
	// only if nothing has changed it since.
	Fence    int64
	Provider string
	Model    string
	// Degraded says that it is a lesser target. Such a release is made only if all
	// jobs of the execution would degrade, and GiveUp found no stored answer for them.
	Degraded bool
}

// Outstanding counts the releases of a tenant and use case that a provider's model
// has not finished.
type Outstanding struct {
	Provider string
	Model    string
	Tenant   string
	UseCase  string
	Count    int
}

// Claim asks to run a task.
type Claim struct {
	Task Task
	// Worker is who asks. It must have sent a beat.
	Worker uuid.UUID
	// Call is the id of the first call of the run. It is recorded, open, in the
	// claim's transaction, so that no request leaves without a row. It also
	// makes a claim repeatable: the same call may claim its task twice.
	Call uuid.UUID
	At   time.Time
}

// Work is a claimed execution: all that is needed to run it.
type Work struct {
	Task        Task
	Tenant      string
	RequestHash string
	Endpoint    string
	Body        json.RawMessage
	Route       string
	// Target is the index of the route's target in Provider and Model.
	Target   int
	Provider string
	Model    string
	// Degraded is that of the [Release].
	Degraded bool
	// Tries is how many were used up before this run.
	Tries int
	// StopAt is the latest deadline of its jobs: the run ends by then.
	StopAt time.Time
	Call   uuid.UUID
	// Refused is set when nobody can read Body any more: the run makes no call
	// and ends failed with it.
	Refused *JobError
	// Withheld says why this worker cannot read Body, though another may: the run
	// makes no call and gives the execution back. It is empty otherwise.
	Withheld string
}

// Outcome ends an execution. All jobs attached to it get it.
type Outcome struct {
	Task Task
	// Call is the run's last call, closed.
	Call Call
	// Status is [StatusSucceeded] or [StatusFailed].
	Status Status
	Result json.RawMessage
	Error  *JobError
	// KeyID names the key that Result and Error's message are sealed with: see
	// [Request].
	KeyID uuid.UUID
	// Tries is how many this run used up.
	Tries int
	At    time.Time
	// StopAt, if not zero, makes the outcome conditional: when a job with a
	// later deadline has attached, nothing is written and the store answers
	// [ErrProlonged]. It is set when a run gives up only for want of time.
	StopAt time.Time
	// Degraded says that the run was of a lesser target. The outcome is conditional,
	// too: when a job has attached that would not degrade, nothing is written and the
	// store answers [ErrProlonged]. A result of such a run is not copied for later jobs.
	Degraded bool
	// Incomplete says that the answer ended at a bound of the request: see
	// [providers.Incomplete].
	Incomplete bool
}

// Rescheduling gives an execution back to be released again.
type Rescheduling struct {
	Task Task
	// Call is the run's last call, closed.
	Call Call
	// RunAt is the earliest time of the next release.
	RunAt time.Time
	// WaitingOn is what the jobs wait on until then.
	WaitingOn WaitingOn
	// Tries is how many this run used up.
	Tries int
	// Target is the index of the route's target to call next.
	Target int
}

// Call is one request to a provider: a row of the table calls.
type Call struct {
	ID          uuid.UUID
	Execution   uuid.UUID
	Fence       int64
	Tenant      string
	RequestHash string
	// Provider has at most 32 characters.
	Provider string
	Model    string
	// Status is empty while the call is open, and for ever when its worker
	// died: nobody knows what became of it.
	Status CallStatus
	// ErrorClass is set unless the call succeeded.
	ErrorClass providers.Class
	// HTTPStatus is zero when the provider did not answer.
	HTTPStatus int
	// Latency is zero while the call is open.
	Latency time.Duration
	// TimeToFirstToken is zero when nothing arrived.
	TimeToFirstToken time.Duration
	Usage            providers.Usage
	// ReservedUSD and CostUSD are nil while not known.
	ReservedUSD *USD
	CostUSD     *USD
	// ServedModel is what the provider says answered, at most [MaxServedModel] bytes;
	// empty if it did not say.
	ServedModel string
	// ProviderRequestID is the provider's own name for the call, if it gave one.
	ProviderRequestID string
	// Partial is what arrived of an answer that failed, at most [MaxPartial]
	// bytes.
	Partial string
	// KeyID names the key that Partial is sealed with: see [Request].
	KeyID     uuid.UUID
	CreatedAt time.Time
}

// MaxServedModel is how many bytes are kept of what a provider calls a model.
const MaxServedModel = 128

// MaxPartial is how many bytes are kept of an answer that did not arrive whole.
const MaxPartial = 64 << 10

// CallStatus is how a call ended.
type CallStatus string

// The statuses of a closed call.
const (
	CallSuccess   CallStatus = "success"
	CallFailure   CallStatus = "failure"
	CallTimeout   CallStatus = "timeout"
	CallCancelled CallStatus = "cancelled"
)

// Event is a fact about a job, written with the status it tells of. Every terminal job
// has one of [EventType]; one that is a response has another, of [ResponseEventType].
type Event struct {
	// ID is a UUIDv7.
	ID     uuid.UUID
	Tenant string
	Job    uuid.UUID
	// Type is such as job.succeeded.
	Type      string
	CreatedAt time.Time
}

// EventType returns the type of the event that tells of a terminal status.
func EventType(s Status) string { return "job." + string(s) }

// The types of events that tell of the end of a response, in the words of OpenAI's API.
const (
	EventResponseCompleted  = "response.completed"
	EventResponseIncomplete = "response.incomplete"
	EventResponseFailed     = "response.failed"
	EventResponseCancelled  = "response.cancelled"
)

// ResponseEventType returns the type of the event that tells of a response whose job has
// a terminal status. OpenAI has no word for one that expired: it has failed. incomplete
// is that of the [Outcome] whose result is the job's.
func ResponseEventType(s Status, incomplete bool) string {
	switch {
	case s == StatusSucceeded && incomplete:
		return EventResponseIncomplete
	case s == StatusSucceeded:
		return EventResponseCompleted
	case s == StatusCancelled:
		return EventResponseCancelled
	default:
		return EventResponseFailed
	}
}
