package batches

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/files"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/providers"
)

// Bounds of a batch.
const (
	// MaxLines and MaxBytes bound the input of a batch.
	MaxLines = 100_000
	MaxBytes = 256 << 20
	// MaxLine is how many bytes one line may have.
	MaxLine = 8 << 20
	// MaxCustomID is how many bytes a custom id may have.
	MaxCustomID = 512
	// MaxProblems is how many of the problems of a batch's lines are kept.
	MaxProblems = 1000
	// Window is how many lines of a batch are jobs at a time, at most.
	Window = 2000
)

// Batch is many requests that a tenant submitted as one. Times are UTC with
// microseconds; a zero time is one that has not come.
type Batch struct {
	// ID is a UUIDv7: batches sort by it as they were created.
	ID     uuid.UUID
	Tenant string
	// Endpoint is the path of the API whose bodies the lines have.
	Endpoint string
	// Input is the file of the lines; Output and Errors are the files that are made of
	// its answers and of what has none.
	Input, Output, Errors uuid.UUID
	Status                Status
	// Paused says that no line is begun; what is under way goes on.
	Paused bool
	// Policy is that of every line.
	Policy   Policy
	Metadata map[string]string
	// Window is how the caller said how long it may take, such as 24h; Deadline is when
	// that ends.
	Window    string
	CreatedAt time.Time
	Deadline  time.Time
	// StartedAt is when all lines had been read and found good; the times after it are
	// those of the status of their name.
	StartedAt, FinalizingAt, CancellingAt time.Time
	// EndedAt is when the status became terminal.
	EndedAt time.Time
	// OutputTTL is how long the files of the answers are kept once the batch has ended;
	// zero: as long as its jobs are.
	OutputTTL time.Duration
	// Read is how far its lines have been read.
	Read Cursor
	// Problems say what is wrong with lines, the first [MaxProblems] of so many.
	Problems     []Problem
	ProblemCount int
	Counts       Counts
	// Usage and CostUSD are the sums of what is known of its jobs.
	Usage   providers.Usage
	CostUSD jobs.USD
	// Rate is how many lines end a second, of late; zero: not known.
	Rate float64
}

// Files are those that are made of its answers.
func (b Batch) Files() []files.File {
	file := func(id uuid.UUID, kind string) files.File {
		return files.File{
			ID: id, Tenant: b.Tenant, Purpose: files.PurposeBatchOutput, Name: fmt.Sprintf("batch_%x_%s.jsonl", b.ID[:], kind),
			Status: files.StatusUploaded, Batch: b.ID, CreatedAt: b.CreatedAt,
		}
	}
	return []files.File{file(b.Output, "output"), file(b.Errors, "error")}
}

// Policy is what the jobs of a batch have in common: see [jobs.NewJob].
type Policy struct {
	Priority jobs.Priority `json:"priority,omitzero"`
	// Concurrency bounds how many of its lines are jobs at a time; zero: [Window].
	Concurrency          int                 `json:"concurrency,omitzero"`
	NoDedupe             bool                `json:"no_dedupe,omitzero"`
	MaxAge               time.Duration       `json:"max_age_ns,omitzero"`
	StaleWhileRevalidate time.Duration       `json:"stale_while_revalidate_ns,omitzero"`
	StaleIfError         time.Duration       `json:"stale_if_error_ns,omitzero"`
	NoStore              bool                `json:"no_store,omitzero"`
	OnUnavailable        *jobs.OnUnavailable `json:"on_unavailable,omitzero"`
	UseCase              string              `json:"use_case,omitzero"`
	User                 string              `json:"user,omitzero"`
	Ephemeral            bool                `json:"ephemeral,omitzero"`
}

// Status is where a batch stands. A terminal one changes by a retry alone.
type Status string

// The statuses, in the words of OpenAI's API.
const (
	// StatusValidating: its lines are being read.
	StatusValidating Status = "validating"
	// StatusFailed: some line was no good. None was run.
	StatusFailed     Status = "failed"
	StatusInProgress Status = "in_progress"
	// StatusFinalizing: no line is left to run.
	StatusFinalizing Status = "finalizing"
	StatusCompleted  Status = "completed"
	// StatusExpired: some lines had not ended at its deadline.
	StatusExpired    Status = "expired"
	StatusCancelling Status = "cancelling"
	StatusCancelled  Status = "cancelled"
)

// Terminal reports whether nothing happens to the batch any more, but for a retry.
func (s Status) Terminal() bool {
	switch s {
	case StatusFailed, StatusCompleted, StatusExpired, StatusCancelled:
		return true
	default:
		return false
	}
}

// Cursor is a place in the input: so many lines, up to this byte.
type Cursor struct {
	Lines int
	Bytes int64
}

// Problem is what is wrong with a line, or with all the input if Line is 0.
type Problem struct {
	// Line counts from 1.
	Line int `json:"line,omitzero"`
	// Code is such as invalid_json_line, duplicate_custom_id or a code of [jobs.Error].
	Code string `json:"code,omitzero"`
	// Param is the field at fault, as a JSON pointer into the line; may be empty.
	Param string `json:"param,omitzero"`
	// Message may name a custom id, and tells nothing else of the line: problems are kept
	// in plain.
	Message string `json:"message,omitzero"`
}

// Counts says what has become of the lines of a batch. The sum of all but Total and
// Deduplicated is Total once all lines have been read.
type Counts struct {
	Total int
	// Pending are not yet jobs, Live are.
	Pending, Live                         int
	Succeeded, Failed, Cancelled, Expired int
	// Deduplicated are those that succeeded with the answer of an equal request.
	Deduplicated int
}

// Ended is how many lines have.
func (c Counts) Ended() int { return c.Succeeded + c.Failed + c.Cancelled + c.Expired }

// ETA is when the batch will have ended if it goes on as it did of late; zero: nobody
// knows, for nothing has ended yet, or it is paused.
func (b Batch) ETA(now time.Time) time.Time {
	switch {
	case b.Status.Terminal():
		return b.EndedAt
	case b.Paused || b.Rate <= 0 || b.Status == StatusValidating:
		return time.Time{}
	}
	seconds := float64(b.Counts.Pending+b.Counts.Live) / b.Rate
	if left := b.Deadline.Sub(now); seconds >= left.Seconds() {
		return b.Deadline
	}
	return now.Add(time.Duration(seconds * float64(time.Second)))
}
