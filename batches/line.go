package batches

import (
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// Line is one request of a batch.
type Line struct {
	// N counts from 1, as the lines of the input do.
	N        int
	CustomID string
	// Offset and Length say where in the input the line is, without what ends it.
	Offset int64
	Length int
	// Hash is the SHA-256 of the request as [jobs.RequestHash] takes it.
	Hash [32]byte
	// Repeat says that a line before it asks for the same.
	Repeat bool
	State  State
	// Round counts the retries of the line, and Attempt how often it was made a job in
	// its round: one that a pause took back is made one again.
	Round, Attempt int
	// Job is its job; nil before there is one.
	Job uuid.UUID
	// Code says why it has no answer: that of its job's error, or that of its state.
	Code string
	// Seq is its place among the lines that have ended, from 1 on as they did; 0 before.
	// A line that is run again gets another.
	Seq int64
}

// State is where a line stands.
type State string

// The states.
const (
	// LinePending: it is to become a job.
	LinePending State = "pending"
	LineLive    State = "live"
	// LineWithdrawn: its job is taken back, for the batch is paused.
	LineWithdrawn State = "withdrawn"
	LineSucceeded State = "succeeded"
	LineFailed    State = "failed"
	LineCancelled State = "cancelled"
	LineExpired   State = "expired"
)

// Codes of lines that never became jobs, beside those of a [jobs.Error] that refused one.
const (
	CodeBatchCancelled = "batch_cancelled"
	CodeBatchExpired   = "batch_expired"
	// CodeInputUnreadable: the line can be read no more.
	CodeInputUnreadable = "input_unreadable"
)

// Ended reports whether the line has.
func (s State) Ended() bool {
	switch s {
	case LineSucceeded, LineFailed, LineCancelled, LineExpired:
		return true
	default:
		return false
	}
}

// Answer is a line that has ended, with what came of it.
type Answer struct {
	Line
	// Result is the endpoint's own body; only a succeeded line has one.
	Result json.RawMessage
	// Message goes with Code; empty for a line that has not failed as a job.
	Message string
	// Dropped says that the job had an answer that is gone: Code says why.
	Dropped  bool
	Provider string
	Usage    providers.Usage
	// FinishedAt is when the job ended; zero for a line that never was one, or whose job
	// is gone.
	FinishedAt time.Time
	// Execution is that whose answer it is: a store that seals needs it.
	Execution uuid.UUID
}

// Forget makes a what it is when what its job was answered is gone. Stores call it.
func (a *Answer) Forget(why *jobs.Error) {
	a.Result = nil
	if a.State == LineSucceeded {
		a.Dropped, a.Code = true, string(why.Code)
	}
	a.Message = why.Message
}

// Cause groups the lines of a batch that have ended without an answer.
type Cause struct {
	Code  string
	Count int
	// Line is the first of them.
	Line int
}
