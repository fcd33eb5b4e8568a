package jobs

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// Store is the truth about jobs. What a store is, is what
// storage/storagetest.Run says; this is its outline.
//
// Every method is one transaction unless it says otherwise, safe for use by
// many goroutines, and durable when it returns nil. Each one that changes an
// execution locks the execution first, then its jobs in id order. Times are
// arguments, so that all comparisons within a decision use one clock; only
// leases use the store's own. Failure to reach the database is an *[Error]
// with code [CodeStoreUnavailable].
type Store interface {
	SubmitStore
	ReadStore
	DispatchStore
	RunStore
	ControlStore
	// Ping says whether the database answers and knows this schema.
	Ping(ctx context.Context) error
	Close() error
}

// SubmitStore is what [Service] needs to take jobs in and to end them early.
type SubmitStore interface {
	// Submit keeps s. In this order: a live idempotency record decides
	// (same fingerprint: its job as it is now, Replayed; other:
	// [ErrIdempotencyMismatch]); with Dedupe a live execution of the same hash
	// is attached to, raised to the job's priority and prolonged to its
	// deadline; a result of the same hash that is fresh enough is copied, with
	// CopyFirst rather than attaching; else a new execution is made. Concurrent submissions are coalesced into one
	// transaction, and a bad one fails alone.
	Submit(ctx context.Context, s Submission) (Submitted, error)
	// Replay returns the job of the live idempotency record that would decide a
	// submission made at the given time, as the job is now. [ErrNotFound] when
	// there is none, [ErrIdempotencyMismatch] when it names another submission.
	Replay(ctx context.Context, tenant string, i Idempotency, at time.Time) (Job, error)
	// Cancel ends the job as cancelled unless it has ended already, and returns
	// it as it then is. If it was its execution's last job, the execution is
	// abandoned and returned in stopped.
	Cancel(ctx context.Context, tenant string, id uuid.UUID, at time.Time) (job Job, stopped []Task, err error)
	// Delivered brings the drop of an ephemeral job forward to [DeliveredHold]
	// after the given time. For other jobs, and for none, it does nothing.
	Delivered(ctx context.Context, tenant string, id uuid.UUID, at time.Time) error
	// Delete removes a terminal job with its events, and with the last job of
	// an execution also request, result and calls. A live job is [ErrLive].
	Delete(ctx context.Context, tenant string, id uuid.UUID) error
}

// ReadStore is what [Service] needs to tell of jobs.
type ReadStore interface {
	// Job returns the job or [ErrNotFound], which is also the answer for
	// another tenant's job.
	Job(ctx context.Context, tenant string, id uuid.UUID) (Job, error)
	// Prospect tells what the execution of a queued job has before it, at now. It
	// is of any tenant: the caller has read the job as its tenant. [ErrNotFound]
	// when it is queued no more.
	Prospect(ctx context.Context, execution uuid.UUID, now time.Time) (Prospect, error)
	// Standings tells how jobs of any tenant stand: the caller has read each as
	// its tenant before. Jobs that are not there are left out.
	Standings(ctx context.Context, ids []uuid.UUID) (map[uuid.UUID]Standing, error)
	// Jobs lists a tenant's jobs, newest first, without Result.
	Jobs(ctx context.Context, q JobQuery) ([]Job, error)
	// Request returns the body the job was submitted with; [ErrDropped] when it
	// is no longer there.
	Request(ctx context.Context, tenant string, id uuid.UUID) (Request, error)
	// Calls lists the calls of the job's execution, oldest first. The calls of
	// an execution that ended before the job was created are not the job's.
	Calls(ctx context.Context, tenant string, id uuid.UUID) ([]Call, error)
	// Events lists the events of a job, oldest first.
	Events(ctx context.Context, tenant string, id uuid.UUID) ([]Event, error)
}

// DispatchStore is what the dispatcher needs.
type DispatchStore interface {
	// Routes lists the lines that have live executions, but for those all of whose
	// executions wait for a time; a route that has jobs for GiveUp is there in any
	// case.
	Routes(ctx context.Context) ([]Line, error)
	// Unpark makes known to Routes and Ready up to limit executions that were
	// given back until a time that has come by now, the longest due first. They
	// need not know of them before. It returns how many, and when the next is
	// due: the zero time if none waits. One that somebody is changing may be left
	// for the next time.
	Unpark(ctx context.Context, now time.Time, limit int) (n int, next time.Time, err error)
	// Ready lists executions that may be released at now, for one line and
	// priority: up to PerTenant each of the next Tenants tenants after the
	// given one, each tenant's by deadline, then age. Those that have waited for
	// a time are listed from their Unpark on. What it costs depends neither on
	// how many are queued nor on how many wait.
	Ready(ctx context.Context, q ReadyQuery) ([]Candidate, error)
	// GiveUp does what the jobs of a route want none of whose targets can be called,
	// but for those whose execution is released and those that are due to expire. One
	// that would fail does so with u.Why, or with a stale answer that it may take;
	// one that would degrade is answered by the newest result of its hash that may be
	// copied, if there is one, and is not looked at again if there is none. Others
	// are left alone. What it costs does not depend on how many those are.
	GiveUp(ctx context.Context, u Unserved) (GivenUp, error)
	// Outstanding counts what is released and not finished.
	Outstanding(ctx context.Context) ([]Outstanding, error)
	// Release releases each under its next fence and returns those that it
	// did; one whose fence has moved is left out. Many are one transaction.
	Release(ctx context.Context, releases []Release, at time.Time) ([]Task, error)
	// SetFlows replaces what is known of how backlogs move, until the given time.
	// It counts how much each has left: to some number only, when there are many.
	SetFlows(ctx context.Context, flows []Flow, until time.Time) error
	// Lease takes or renews the named lease for ttl by the store's own clock,
	// and reports whether holder has it.
	Lease(ctx context.Context, name string, holder uuid.UUID, ttl time.Duration) (bool, error)
	// Unlease gives the lease up if holder has it.
	Unlease(ctx context.Context, name string, holder uuid.UUID) error
}

// RunStore is what a worker needs.
type RunStore interface {
	// Claim starts a run: it marks the release as the worker's and records the
	// first call as open. [ErrStale] when the fence is past, the release is
	// another's, or the execution has ended. Repeating a claim succeeds.
	Claim(ctx context.Context, c Claim) (Work, error)
	// Disclaim undoes a claim of which nobody knows whether it was kept, for a
	// call that was not made. If it was, the call is closed as cancelled. The
	// execution becomes ready again, unless the claim's fence is past or the
	// release is another's; a try of the claim that is still on its way is stale.
	// Repeating it is harmless.
	Disclaim(ctx context.Context, c Claim) error
	// OpenCall records that a run is about to make another call than that of its claim,
	// before the first byte of it leaves: a hedge, or one to the next target.
	// [ErrStale] when the release is not, or no longer, the worker's. Repeating it
	// succeeds.
	OpenCall(ctx context.Context, worker uuid.UUID, c Call) error
	// CloseCall records what became of a call that does not decide its run, as Finish
	// and Reschedule do of the one that does: also when the fence is past.
	CloseCall(ctx context.Context, c Call) error
	// Finish ends an execution: result, attached jobs and their events. It
	// succeeds under the release's fence, under the same fence when the release
	// was taken back but not yet made again (the answer of a worker that was
	// thought dead is not thrown away), and when repeated. A job whose own
	// deadline is past at o.At becomes expired instead. Otherwise [ErrStale]:
	// then the call alone has been recorded. It returns the jobs that ended.
	//
	// With very many jobs attached, those beyond the first chunk follow in
	// transactions of their own before Finish returns; see ControlStore.Settle.
	Finish(ctx context.Context, o Outcome) (ended []uuid.UUID, err error)
	// Reschedule gives the execution back. [ErrStale] as for Finish, and also
	// when the release was taken back; the call is recorded all the same.
	Reschedule(ctx context.Context, r Rescheduling) error
	// Beat says that the worker lives, makes it known if it is not, and returns
	// those of running whose execution has ended or has moved to a later
	// fence: their calls serve nobody.
	Beat(ctx context.Context, w Worker, running []Task) (obsolete []Task, err error)
	// Retire forgets a worker that stops in good order. Releases it still holds
	// become ready again without counting as crashes; their calls are closed as
	// cancelled.
	Retire(ctx context.Context, worker uuid.UUID) error
}

// ControlStore is what the reconciler and the upkeep need.
type ControlStore interface {
	// Workers lists the known workers with their last beat.
	Workers(ctx context.Context) ([]Worker, error)
	// Reclaim declares a worker dead, unless its beat has moved on since. Each
	// execution it was running becomes ready again under its next release, with
	// one crash more, or ends failed as poisoned at [MaxCrashes].
	Reclaim(ctx context.Context, w Worker, at time.Time) (Reclaimed, error)
	// Unclaimed lists releases made before the given time that no worker has
	// claimed, oldest first.
	Unclaimed(ctx context.Context, before time.Time, limit int) ([]Task, error)
	// Requeue takes back those of the releases that are still unclaimed, and
	// makes their executions ready again. It returns how many.
	Requeue(ctx context.Context, tasks []Task) (int, error)
	// Expire ends up to limit jobs whose deadline is at or before now, and
	// abandons executions that lose their last job.
	Expire(ctx context.Context, now time.Time, limit int) (Expired, error)
	// Settle continues what a Finish left when its process died. It returns the
	// jobs that ended.
	Settle(ctx context.Context) ([]uuid.UUID, error)
	// Drop makes up to limit ephemeral jobs that are due forget request and
	// answer: see [Job.DroppedAt]. What jobs share goes with the last of them. It
	// returns how many did.
	Drop(ctx context.Context, now time.Time, limit int) (int, error)
	// Retain deletes what is past its retention: as [SubmitStore.Delete] does for
	// each job, in many transactions. A store that keeps by the week may keep
	// what all tenants' retention ends at for a week longer. It returns how many
	// jobs it deleted one by one; whole weeks are not counted.
	Retain(ctx context.Context, r Retention, now time.Time) (int, error)
	// Maintain drops idempotency records past their time and makes room for the
	// weeks to come.
	Maintain(ctx context.Context, now time.Time) error
}

// Submission is a validated job on its way into the store.
type Submission struct {
	// Job has ID, Tenant, Endpoint, Model, Priority, Deadline, CreatedAt,
	// RequestHash, Metadata, User, UseCase, OnUnavailable, Ephemeral, Batch and
	// Response set.
	Job     Job
	Request Request
	// Execution is the id of the execution to make, if one is made: a UUIDv7.
	Execution uuid.UUID
	// Dedupe lets the job attach to a live execution of the same hash.
	Dedupe bool
	// MaxAge is how old a copied result may be; zero: no result is copied.
	MaxAge time.Duration
	// StaleIfError is how old, when the job is made, a result of the same hash may
	// be that answers it if its execution fails or its deadline passes; zero:
	// none may.
	StaleIfError time.Duration
	// CopyFirst prefers a copied result to a live execution, which may take long.
	CopyFirst bool
	// NoStore keeps the result from being copied for later jobs.
	NoStore bool
	// Idempotency is nil when the caller gave no key.
	Idempotency *Idempotency
}

// StaleAfter returns after when a result must have finished to answer the job in
// place of its own execution's; zero when none may.
func (s Submission) StaleAfter() time.Time {
	if s.StaleIfError <= 0 {
		return time.Time{}
	}
	return s.Job.CreatedAt.Add(-s.StaleIfError)
}

// UnservedRoute returns the route of which it is for GiveUp that nothing can be
// called; empty when the job waits anyway.
func (s Submission) UnservedRoute() string {
	if s.Job.OnUnavailable == OnUnavailableWait {
		return ""
	}
	return s.Request.Route
}

// Degradable reports whether the job would degrade.
func (s Submission) Degradable() bool { return s.Job.OnUnavailable == OnUnavailableDegrade }

// Request is what an execution asks of a provider.
type Request struct {
	Endpoint string
	// Route is the name of the route whose targets are called.
	Route string
	Body  json.RawMessage
	// KeyID names the key that Body is sealed with when it is kept; nil: it is in
	// plain. Nobody but a store that seals knows of it.
	KeyID uuid.UUID
	// Sample tells equal requests apart that want different answers.
	Sample int
	// Cost is an estimate in tokens, at least 1.
	Cost int64
}

// IdempotencyWindow is how long an Idempotency-Key is remembered.
const IdempotencyWindow = 24 * time.Hour

// Idempotency names one submission. A record older than [IdempotencyWindow],
// or whose job is gone, counts as absent.
type Idempotency struct {
	Key string
	// Fingerprint is the SHA-256 of the whole submission.
	Fingerprint [32]byte
	// Within makes a record that is older count as absent, too; zero: none.
	Within time.Duration
	// Renew makes every record count as absent: the submission takes the key, unless
	// one that was made later has it.
	Renew bool
}

// Since returns from when on a record counts, for a submission made at the given time.
func (i Idempotency) Since(at time.Time) time.Time {
	window := IdempotencyWindow
	if i.Within > 0 && i.Within < window {
		window = i.Within
	}
	return at.Add(-window)
}

// Submitted is what became of a submission.
type Submitted struct {
	Job Job
	// Replayed says that the idempotency record answered: nothing was made.
	Replayed bool
	// Ready says that an execution became ready by it, new or raised: the
	// dispatcher has something to do.
	Ready bool
}

// JobQuery selects jobs. Zero fields select all.
type JobQuery struct {
	Tenant        string
	Status        Status
	Priority      *Priority
	Model         string
	CreatedAfter  time.Time
	CreatedBefore time.Time
	Metadata      map[string]string
	// Batch is the batch that the jobs are of; nil: of any, and of none.
	Batch uuid.UUID
	// Before is the id after which to go on, in the order of the list.
	Before uuid.UUID
	// Limit is at least 1.
	Limit int
}

// Standing is how a job stands: what those who watch it are woken for. In it
// [WaitingOnFairness] is [WaitingOnCapacity].
type Standing struct {
	Status    Status
	WaitingOn WaitingOn
}

// ReadyQuery selects executions to release.
type ReadyQuery struct {
	Route    string
	UseCase  string
	Priority Priority
	Now      time.Time
	// AfterTenant is where to go on; empty starts with the first tenant.
	AfterTenant string
	Tenants     int
	PerTenant   int
	// Degradable selects those all of whose jobs would degrade.
	Degradable bool
}

// Worker is a process that runs executions.
type Worker struct {
	ID   uuid.UUID
	Name string
	// Beat is a number that moves on as long as the worker lives. Observers
	// compare it with what they saw before, so that no clock matters but their
	// own.
	Beat int64
}

// Reclaimed is what a dead worker left.
type Reclaimed struct {
	// Requeued counts the executions that will run again.
	Requeued int
	// Ended lists the jobs of poisoned executions.
	Ended []uuid.UUID
}

// Expired is what ended because its time was up.
type Expired struct {
	Ended []uuid.UUID
	// Stopped lists abandoned executions, as last released.
	Stopped []Task
	// Next is the earliest deadline to come, told when nothing had to end; zero
	// when no job has one, or when something else is about to end those that are
	// due.
	Next time.Time
}
