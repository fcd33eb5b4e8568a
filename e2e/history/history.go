// Package history judges what happened to a Penstock under faults. A [History]
// is what the clients, the store and the provider saw; [Check] proves the
// invariants 1 to 5 of it, or says where one is broken; [Measure] tells how long
// things took. It only compares: it knows neither the network nor SQL.
package history

import (
	"fmt"
	"slices"
	"time"
)

// History is all that was seen of one run, until nothing moved any more.
type History struct {
	// Submissions are the clients' requests to take a job in, each try of them.
	Submissions []Submission
	// Sightings are jobs as clients were told of them.
	Sightings []Sighting
	// Cancels are the ids of jobs that a client asked to cancel.
	Cancels map[string]bool
	// Retries maps each job that a retry made to the one it repeats.
	Retries map[string]string
	// LostRetries counts requests for a retry whose answer was lost: such a
	// request has no key, so that each may have made a job nobody knows of.
	LostRetries int

	// Batches are those that clients wanted, BatchSubmissions the requests for them, whose
	// Key is the batch's name and whose Job is its id, Uploads those for files of lines, and
	// BatchSightings what clients were told of them while they ran.
	Batches          []Batch
	BatchSubmissions []Submission
	Uploads          []Submission
	BatchSightings   []BatchSighting
	// Kept are all batches that are there in the end.
	Kept []KeptBatch

	// What the store holds at the end.
	Jobs       []Job
	Events     []Event
	Executions []Execution
	Calls      []Call
	// Left counts the rows, by table, that only unfinished work has.
	Left map[string]int

	// Deliveries are the webhooks that receivers got and accepted, each time one did.
	// Hooked are the tenants that had an endpoint for all events before their first
	// job.
	Deliveries []Delivery
	Hooked     map[string]bool

	// Provider is the provider's own log.
	Provider []ProviderCall
	// Faults are what was done to the processes.
	Faults []Fault
}

// Submission is one request for a job.
type Submission struct {
	Key    string
	Tenant string
	// NoDedupe asked for an execution of its own.
	NoDedupe bool
	// API is the process that was asked.
	API  string
	Sent time.Time
	// Answered is when the answer was there, or the client gave up on it.
	Answered time.Time
	// Status is the HTTP status; zero when the connection was lost.
	Status int
	// Code is that of a problem.
	Code string
	// RetryAfter is the header, empty when there was none.
	RetryAfter string
	// Job is the id in an answer that accepts.
	Job string
}

func (s Submission) accepted() bool { return s.Status == 200 || s.Status == 202 }

// Sighting is what a client was told of a job.
type Sighting struct {
	Job      string
	Sent     time.Time
	Answered time.Time
	Status   string
	// Outcome stands for the whole result, or is the error's code.
	Outcome string
}

// Missing is the status of a job that an API said was not there.
const Missing = "missing"

// Job is a job's row.
type Job struct {
	ID           string
	Tenant       string
	Key          string // of its idempotency record, empty without one
	Execution    string
	Batch        string // that it is a line of; empty: of none
	Hash         string
	Status       string
	Error        string
	Deduplicated bool
	Cached       bool
	Tries        int
	Created      time.Time
	Deadline     time.Time
	Finished     time.Time
}

// Event is an event's row.
type Event struct {
	Job    string
	Tenant string
	Type   string
}

// Delivery is a webhook as its receiver got it, and found rightly signed.
type Delivery struct {
	ID string
	// Body stands for all of it.
	Body string
	// Tenant is whose endpoint it came to.
	Tenant string
	Type   string
	// Job or Batch is what it tells of.
	Job, Batch string
}

// Execution is an execution that was made. Finished is zero when it left no
// result, because nobody waited for one any more.
type Execution struct {
	ID       string
	Tenant   string
	Hash     string
	Fence    int64
	Status   string
	Error    string
	Outcome  string
	Tries    int
	Finished time.Time
}

// Call is a row of the table calls. Status is empty for one that was never
// closed.
type Call struct {
	Task
	Status string
	Class  string
	// Try says that the class counts as a try, Outage that it does not where others
	// fail like it, Final that it is not worth another.
	Try, Outage, Final bool
}

// Task is an execution under a fence.
type Task struct {
	Execution string
	Fence     int64
}

// ProviderCall is a call as the provider saw it.
type ProviderCall struct {
	Task
	Start   time.Time
	End     time.Time
	Outcome string
	// Answer stands for the whole answer that was given, as [Execution.Outcome]
	// does for the one that was kept; empty when the log does not tell.
	Answer string
}

// Fault is something that was done on purpose.
type Fault struct {
	Name string
	// Process is the one it was done to; empty for one that hits all.
	Process  string
	From, To time.Time
	// StoreAway says that nobody could reach the store meanwhile.
	StoreAway bool
	// QueueAway says that nobody could reach the queue meanwhile.
	QueueAway bool
	// Held is what Process was running when it fell silent for so long that
	// others had reason to declare it dead.
	Held []Task
}

// The statuses that end a job.
const (
	succeeded = "succeeded"
	failed    = "failed"
	cancelled = "cancelled"
	expired   = "expired"
)

func terminal(status string) bool {
	switch status {
	case succeeded, failed, cancelled, expired:
		return true
	default:
		return false
	}
}

// Violation is a broken invariant.
type Violation struct {
	Invariant int
	What      string
}

// String says which invariant is broken and how.
func (v Violation) String() string { return fmt.Sprintf("invariant %d: %s", v.Invariant, v.What) }

// Check returns how h breaks the invariants; none when it keeps them.
func Check(h History) []Violation {
	x := newIndex(h)
	x.acceptedMeansKept()
	x.oneOutcome()
	x.oneLiveExecution()
	x.oneEventEach()
	x.eventsAreDelivered()
	x.waitingIsNotFailing()
	x.batchesAreKept()
	return x.violations
}

// index is a history that can be looked up.
type index struct {
	History

	jobs       map[string]Job
	executions map[string]Execution
	of         map[string][]Job // jobs by execution, without cached ones
	calls      map[Task][]Call
	seen       map[string][]Sighting // by job, in the order of their answers
	held       map[Task]bool
	// cancelled are the batches, by id, that their clients cancelled.
	cancelled  map[string]bool
	started    []ProviderCall // the provider's calls, as they began
	violations []Violation
}

func newIndex(h History) *index {
	x := &index{
		History: h, jobs: map[string]Job{}, executions: map[string]Execution{}, of: map[string][]Job{},
		calls: map[Task][]Call{}, seen: map[string][]Sighting{}, held: map[Task]bool{}, started: byStart(h.Provider),
		cancelled: map[string]bool{},
	}
	for _, k := range h.Kept {
		x.cancelled[k.ID] = slices.ContainsFunc(h.Batches, func(b Batch) bool { return b.Name == k.Name && b.Cancelled })
	}
	for _, j := range h.Jobs {
		x.jobs[j.ID] = j
		if !j.Cached {
			x.of[j.Execution] = append(x.of[j.Execution], j)
		}
	}
	for _, e := range h.Executions {
		x.executions[e.ID] = e
	}
	for _, c := range h.Calls {
		x.calls[c.Task] = append(x.calls[c.Task], c)
	}
	for _, s := range slices.SortedFunc(slices.Values(h.Sightings), byAnswer) {
		x.seen[s.Job] = append(x.seen[s.Job], s)
	}
	for _, f := range h.Faults {
		for _, t := range f.Held {
			x.held[t] = true
		}
	}
	return x
}

func byAnswer(a, b Sighting) int { return a.Answered.Compare(b.Answered) }

func (x *index) broken(invariant int, format string, args ...any) {
	x.violations = append(x.violations, Violation{invariant, fmt.Sprintf(format, args...)})
}
