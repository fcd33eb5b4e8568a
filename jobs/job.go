package jobs

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/providers"
)

// Job is what one caller asked for. Many jobs can wait for one [Execution].
// Times are UTC with microseconds; a zero time is not yet known.
type Job struct {
	// ID is a UUIDv7: jobs sort by it as they were created.
	ID          uuid.UUID
	Tenant      string
	ExecutionID uuid.UUID
	Status      Status
	// WaitingOn says why a queued job is queued; empty otherwise.
	WaitingOn WaitingOn
	// Position is 1 when the job is the next of its tenant's on its route; 0 when
	// it is not told. Jobs that share an execution count as one.
	Position int
	// ETA is when the answer is expected.
	ETA time.Time
	// Endpoint is the path of the API whose body the request is.
	Endpoint string
	// Model is the caller's: a route, or provider/model.
	Model       string
	Priority    Priority
	Deadline    time.Time
	CreatedAt   time.Time
	StartedAt   time.Time
	FinishedAt  time.Time
	RequestHash string
	// Deduplicated says that another job's execution serves this one.
	Deduplicated bool
	// Cached says that the answer was there before the job was.
	Cached bool
	// Age is how old a cached answer was when the job was created.
	Age time.Duration
	// AnswerOf is the execution whose result is the job's when its own brought
	// none and a stale one served; nil otherwise.
	AnswerOf uuid.UUID
	// UseCase is what the job is for; empty: it did not say, and neither did its route.
	UseCase string
	// OnUnavailable is what the job wants when no target of its route can be called.
	OnUnavailable OnUnavailable
	// Degraded says that the answer is one that [OnUnavailableDegrade] allowed: an
	// old one, or that of a lesser target.
	Degraded bool
	// Ephemeral says that the request and the answer are dropped once the answer
	// was delivered, or soon after the end: see [EphemeralHold].
	Ephemeral bool
	// DroppedAt is when that was done. The job then has neither: if it had
	// succeeded, its Error has [CodeDropped] in place of its Result.
	DroppedAt time.Time
	// Tries counts the calls that failed in a way that counts.
	Tries int
	// Provider is the one that answered last; empty before the first call ended.
	Provider string
	Usage    providers.Usage
	// CostUSD is nil while it is not known.
	CostUSD  *USD
	Metadata map[string]string
	User     string
	// Webhook is told of the job's end, beside the tenant's endpoints.
	Webhook Webhook
	// Batch is the batch that the job is of; nil: of none. The end of a batch's job is
	// an event as any other is, of which no deliveries are made.
	Batch uuid.UUID
	// Response says that the job is a response of OpenAI's API which is made in the
	// background: its end is told as one, too, by an event of [ResponseEventType].
	Response bool
	// Result is the endpoint's own body; only a succeeded job has one.
	Result json.RawMessage
	// Error says why a failed, cancelled or expired job has no result.
	Error *JobError
}

// JobError is why a job ended without a result. Code is a word of the error
// taxonomy or one of the codes below; Message is for the tenant alone.
type JobError struct {
	Code    string
	Message string
}

// Codes of a [JobError] beside those of the error taxonomy.
const (
	CodeExpired   = "expired"
	CodeCancelled = "cancelled"
	CodePoisoned  = "poisoned"
	// CodeUnavailable says that no target could be called: see [OnUnavailableFail].
	CodeUnavailable = "unavailable"
	// CodeErased says that the data is gone for good: its key was erased. A job
	// that had succeeded before has it as well, in place of its result.
	CodeErased = "erased"
	// CodeDropped says that the data was dropped, for the job was ephemeral. A job
	// that had succeeded has it in place of its result.
	CodeDropped = "dropped"
	// CodeUnreadable says that the data is there and opens with no key: it was
	// changed where it is kept, or the key is not kept any more.
	CodeUnreadable = "unreadable"
)

// Status is where a job stands. A terminal status never changes.
type Status string

// The statuses of a job.
const (
	StatusQueued    Status = "queued"
	StatusRunning   Status = "running"
	StatusSucceeded Status = "succeeded"
	StatusFailed    Status = "failed"
	StatusCancelled Status = "cancelled"
	StatusExpired   Status = "expired"
)

// Terminal reports whether nothing can happen to the job any more.
func (s Status) Terminal() bool {
	switch s {
	case StatusSucceeded, StatusFailed, StatusCancelled, StatusExpired:
		return true
	default:
		return false
	}
}

// WaitingOn is why a queued job is not running.
type WaitingOn string

// The reasons to wait that exist so far.
const (
	WaitingOnCapacity  WaitingOn = "capacity"
	WaitingOnRateLimit WaitingOn = "rate_limit"
	WaitingOnRetry     WaitingOn = "retry"
	// WaitingOnBreaker: calls to its target have failed, and are tried out first.
	WaitingOnBreaker WaitingOn = "breaker"
	// WaitingOnHuman: an operator holds it.
	WaitingOnHuman WaitingOn = "human"
	// WaitingOnFairness is what a backlog waits on that gets its share of a pool
	// in which others have one, too. Where a job is not looked at alone, that is
	// told as [WaitingOnCapacity].
	WaitingOnFairness WaitingOn = "fairness"
)

// Priority orders executions; the smaller number runs first. The zero value
// is [PriorityNormal].
type Priority int8

// The three priorities.
const (
	PriorityHigh   Priority = -1
	PriorityNormal Priority = 0
	PriorityLow    Priority = 1
)

// Priorities lists them, the most urgent first.
func Priorities() []Priority {
	return []Priority{PriorityHigh, PriorityNormal, PriorityLow}
}

// String returns the word the API uses.
func (p Priority) String() string {
	switch p {
	case PriorityHigh:
		return "high"
	case PriorityLow:
		return "low"
	default:
		return "normal"
	}
}

// ParsePriority is the reverse of [Priority.String].
func ParsePriority(s string) (Priority, bool) {
	for _, p := range Priorities() {
		if p.String() == s {
			return p, true
		}
	}
	return PriorityNormal, false
}
