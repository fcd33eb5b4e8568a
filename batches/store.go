package batches

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/webhooks/delivery"
)

// What a store may answer, beside [jobs.ErrNotFound].
var (
	// ErrNotHeld: the batch is not, or no longer, the holder's.
	ErrNotHeld = errors.New("the batch is held by another")
	// ErrStatus: this cannot be done to a batch of that status.
	ErrStatus = errors.New("the batch has another status")
	// ErrJobGone is why an answer is gone whose job is: see [Answer.Forget].
	ErrJobGone = &jobs.Error{Code: jobs.CodeNotFound, Message: "the job is no longer there"}
	// ErrEnded: the batch has ended.
	ErrEnded = &jobs.Error{Code: jobs.CodeConflict, Message: "the batch has ended"}
	// ErrNotEnded: the batch has not.
	ErrNotEnded = &jobs.Error{Code: jobs.CodeConflict, Message: "the batch has not ended; cancel it, or wait for it"}
	// ErrNoInput: the input is not there, is not the tenant's, or is not for batches.
	ErrNoInput = &jobs.Error{Code: jobs.CodeInvalidField, Pointer: "/input_file_id", Message: "no such file"}
)

// LeaseTime is how long a batch is held, by the store's own clock.
const LeaseTime = 6 * time.Second

// Store keeps batches and their lines. What a store is, is what storage/storagetest
// says; this is its outline. Every method is one transaction unless it says otherwise,
// and safe for use by many goroutines. Times are arguments, in UTC with microseconds;
// only leases use the store's own. What is another tenant's, or not there, is
// [jobs.ErrNotFound]; failure to reach the database is a *[jobs.Error] with code
// [jobs.CodeStoreUnavailable].
//
// A batch that has ended is removed when it is past the retention of jobs: see
// [jobs.ControlStore].
type Store interface {
	BatchStore
	KeeperStore
}

// BatchStore is what [Service] needs.
type BatchStore interface {
	// CreateBatch keeps b, validating, with the files of its answers; [ErrNoInput] if it
	// has no input. With a repeat, the youngest batch of the tenant with the same key, no
	// older than repeat.Within, is returned in its place, as it is now: if it was created
	// with another fingerprint, [jobs.ErrIdempotencyMismatch].
	CreateBatch(ctx context.Context, b Batch, repeat Repeat) (as Batch, replayed bool, err error)
	Batch(ctx context.Context, tenant string, id uuid.UUID) (Batch, error)
	// Batches lists a tenant's, newest first.
	Batches(ctx context.Context, q Query) ([]Batch, error)
	// PauseBatch pauses or resumes; [ErrEnded] if it has.
	PauseBatch(ctx context.Context, tenant string, id uuid.UUID, paused bool) (Batch, error)
	// CancelBatch makes it cancelling unless it is, or has ended. From then on StartLines
	// begins none of its lines.
	CancelBatch(ctx context.Context, tenant string, id uuid.UUID, at time.Time) (Batch, error)
	// RetryBatch makes all lines of a batch that has ended pending again that have failed
	// or expired or were cancelled, in a new round, and the batch in progress until the
	// given deadline, or validating if not all its lines had been read; also Paused is
	// false then. It returns how many lines. With none, and for a batch of [StatusFailed],
	// nothing is changed. [ErrNotEnded].
	RetryBatch(ctx context.Context, tenant string, id uuid.UUID, at, deadline time.Time) (Batch, int, error)
	// DeleteBatch removes one that has ended, with its lines, which may take more
	// transactions, and the files of its answers; its jobs stay. [ErrNotEnded].
	DeleteBatch(ctx context.Context, tenant string, id uuid.UUID) error
	// Answers lists lines of a batch that have ended, with what came of them.
	Answers(ctx context.Context, q AnswerQuery) ([]Answer, error)
	// Causes groups the lines that have ended without an answer, most frequent first, at
	// most limit.
	Causes(ctx context.Context, tenant string, id uuid.UUID, limit int) ([]Cause, error)
}

// KeeperStore is what keepers need. All that names a holder is [ErrNotHeld] unless that
// holds the batch.
type KeeperStore interface {
	// LeaseBatches gives holder up to limit batches that have not ended and that nobody
	// holds, for [LeaseTime], those created first first; but none in progress that is
	// paused and has no live line, before its deadline: there is nothing to do.
	LeaseBatches(ctx context.Context, holder uuid.UUID, limit int) ([]Batch, error)
	// RenewBatches holds those of ids that holder still holds anew, and returns them as
	// they are now.
	RenewBatches(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) ([]Batch, error)
	// ReleaseBatches gives up those that holder holds.
	ReleaseBatches(ctx context.Context, holder uuid.UUID, ids []uuid.UUID) error

	// AppendLines keeps lines that were read, pending, and moves the cursor from one place
	// to another; if it is elsewhere nothing is kept, and that is [ErrNotHeld].
	AppendLines(ctx context.Context, holder, batch uuid.UUID, from, to Cursor, lines []Line) error
	// Lines lists up to limit lines after the nth: for one that goes on reading.
	Lines(ctx context.Context, batch uuid.UUID, after, limit int) ([]Line, error)
	// BeginBatch makes a batch that is validating in progress: all its lines have been
	// read. One that is cancelling stays so.
	BeginBatch(ctx context.Context, holder, batch uuid.UUID, at time.Time) (Batch, error)
	// RejectBatch makes a batch that is validating failed, drops its lines, which may take
	// more transactions, and tells e; [ErrStatus] if it is not. Nobody holds it then.
	RejectBatch(ctx context.Context, holder, batch uuid.UUID, problems []Problem, count int, at time.Time, e *delivery.Event) error

	// PendingLines lists up to limit pending lines, in their order.
	PendingLines(ctx context.Context, batch uuid.UUID, limit int) ([]Line, error)
	// StartLines notes the jobs of lines that are pending: they are live then. Lines that
	// are not pending any more are left alone. [ErrStatus] unless the batch is in
	// progress: nothing is noted then.
	StartLines(ctx context.Context, holder, batch uuid.UUID, started []Started) error
	// LiveLines lists up to limit lines that are live or withdrawn, after the nth.
	LiveLines(ctx context.Context, batch uuid.UUID, after, limit int) ([]Line, error)
	// WithdrawLines notes that the jobs of live lines are about to be cancelled, for the
	// batch is paused.
	WithdrawLines(ctx context.Context, holder, batch uuid.UUID, ns []int) error
	// CollectLines notes what became of up to limit lines whose jobs have ended or are
	// gone, and counts it: usage, cost and Seq too, of those it notes at once in the order
	// in which their jobs ended. A withdrawn line whose job was cancelled
	// is pending again, with the next Attempt; one whose job is gone has failed with
	// code not_found. Rate is kept as it is given. It returns how many lines, and the
	// batch as it is then.
	CollectLines(ctx context.Context, holder, batch uuid.UUID, rate float64, limit int) (Batch, int, error)
	// EndLines ends up to limit pending lines as failed, cancelled or expired, with a code:
	// those of only, or, if that is nil, the first. It returns how many.
	EndLines(ctx context.Context, holder, batch uuid.UUID, as State, code string, only []int, limit int) (int, error)
	// FinalizeBatch makes a batch in progress finalizing; [ErrStatus] if it is neither.
	FinalizeBatch(ctx context.Context, holder, batch uuid.UUID, at time.Time) error
	// EndBatch ends a batch none of whose lines is pending, live or withdrawn, tells e, and
	// gives its files the time at which they expire. [ErrStatus] if there are such lines.
	// Nobody holds it then.
	EndBatch(ctx context.Context, holder, batch uuid.UUID, as Status, at time.Time, e *delivery.Event) error
}

// Repeat says of a submission that it may be another's repetition; the zero Repeat is none.
type Repeat struct {
	// Key is the tenant's name for the submission.
	Key         string
	Fingerprint [32]byte
	// Within is how old the other may be.
	Within time.Duration
}

// Started is a line and its job.
type Started struct {
	N   int
	Job uuid.UUID
}

// Query selects batches of a tenant.
type Query struct {
	Tenant string
	// Before and After are ids: what is older than Before, or newer than After, nearest
	// first; at most one is given. The list is newest first in any case.
	Before, After uuid.UUID
	// Endpoint selects those whose lines are for it; empty: all.
	Endpoint string
	Limit    int
}

// AnswerQuery selects lines of a batch that have ended.
type AnswerQuery struct {
	Tenant string
	Batch  uuid.UUID
	// States are those wanted; none: all.
	States []State
	// AsFinished lists them as they ended, after the given Seq; else in the order of the
	// input, after the given line.
	AsFinished bool
	After      int64
	Limit      int
}
