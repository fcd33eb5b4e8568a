package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Batch is a batch as the API tells of it. Fields that are not known are zero.
type Batch struct {
	ID     uuid.UUID   `json:"id"`
	Status BatchStatus `json:"status"`
	// Paused says that no line is begun.
	Paused   bool   `json:"paused"`
	Endpoint string `json:"endpoint"`
	// InputFile has the lines; OutputFile the answers, and ErrorFile what became of the
	// others, in OpenAI's form: GET /v1/files/{id}/content has them.
	InputFile     string            `json:"input_file_id"`
	OutputFile    string            `json:"output_file_id"`
	ErrorFile     string            `json:"error_file_id"`
	Priority      Priority          `json:"priority"`
	Concurrency   int               `json:"concurrency"`
	Dedupe        bool              `json:"dedupe"`
	OnUnavailable OnUnavailable     `json:"on_unavailable"`
	UseCase       string            `json:"use_case"`
	Metadata      map[string]string `json:"metadata"`
	Deadline      time.Time         `json:"deadline"`
	CreatedAt     time.Time         `json:"created_at"`
	StartedAt     time.Time         `json:"started_at"`
	CancellingAt  time.Time         `json:"cancelling_at"`
	EndedAt       time.Time         `json:"ended_at"`
	// Read is how far the lines have been read.
	Read   BatchRead   `json:"read"`
	Counts BatchCounts `json:"counts"`
	// LinesPerSecond is how many end, of late, and ETA when all will have.
	LinesPerSecond float64   `json:"lines_per_second"`
	ETA            time.Time `json:"eta"`
	// Usage and CostUSD are those of what has ended by now; nil when they are not known.
	Usage   *Usage   `json:"usage"`
	CostUSD *float64 `json:"cost_usd"`
	// Failures groups the lines that have ended without an answer, the most frequent first;
	// of a batch in a list it is left out.
	Failures []BatchFailure `json:"failures"`
	// Problems say why the batch is failed: what is wrong with its lines, the first of so
	// many; of a batch in a list they are left out.
	ProblemCount int            `json:"problem_count"`
	Problems     []BatchProblem `json:"problems"`
}

// BatchStatus is where a batch stands.
type BatchStatus string

// The statuses. Validating: its lines are being read. Failed: some line is no good, and
// none was run.
const (
	BatchValidating BatchStatus = "validating"
	BatchFailed     BatchStatus = "failed"
	BatchInProgress BatchStatus = "in_progress"
	BatchFinalizing BatchStatus = "finalizing"
	BatchCompleted  BatchStatus = "completed"
	BatchExpired    BatchStatus = "expired"
	BatchCancelling BatchStatus = "cancelling"
	BatchCancelled  BatchStatus = "cancelled"
)

// Ended reports whether nothing happens to the batch any more, but for a retry.
func (s BatchStatus) Ended() bool {
	return s == BatchFailed || s == BatchCompleted || s == BatchExpired || s == BatchCancelled
}

// BatchRead is how far the lines of a batch have been read.
type BatchRead struct {
	Lines int   `json:"lines"`
	Bytes int64 `json:"bytes"`
}

// BatchCounts says what has become of the lines of a batch.
type BatchCounts struct {
	// Total is how many there are once all have been read.
	Total int `json:"total"`
	// Pending are not yet jobs, Live are.
	Pending   int `json:"pending"`
	Live      int `json:"live"`
	Succeeded int `json:"succeeded"`
	Failed    int `json:"failed"`
	Cancelled int `json:"cancelled"`
	Expired   int `json:"expired"`
	// Deduplicated had the answer of an equal request.
	Deduplicated int `json:"deduplicated"`
}

// Ended is how many lines have.
func (c BatchCounts) Ended() int { return c.Succeeded + c.Failed + c.Cancelled + c.Expired }

// BatchFailure is a group of lines without an answer.
type BatchFailure struct {
	Code      string `json:"code"`
	Count     int    `json:"count"`
	FirstLine int    `json:"first_line"`
}

// BatchProblem is what is wrong with a line, from 1 on, or with all of the input if Line is
// 0.
type BatchProblem struct {
	Line    int    `json:"line"`
	Code    string `json:"code"`
	Pointer string `json:"pointer"`
	Message string `json:"message"`
}

// Answer is a line of a batch that has ended.
type Answer struct {
	// Line counts from 1, in the order of the requests.
	Line     int    `json:"line"`
	CustomID string `json:"custom_id"`
	// Status is succeeded, failed, cancelled or expired.
	Status Status `json:"status"`
	// JobID is nil of a line that never became a job.
	JobID uuid.UUID `json:"job_id"`
	// Seq counts lines as they end.
	Seq int64 `json:"seq"`
	// Result is the endpoint's own body, of a line that succeeded.
	Result json.RawMessage `json:"result"`
	// Error says why there is none.
	Error *JobError `json:"error"`
}

// Decode reads the line's result into the given value, or returns its error.
func (a Answer) Decode(into any) error {
	switch {
	case a.Error != nil:
		return a.Error
	case len(a.Result) == 0 || string(a.Result) == "null":
		return errors.New("client: the line has no result")
	}
	if err := json.Unmarshal(a.Result, into); err != nil {
		return fmt.Errorf("client: understand the result: %w", err)
	}
	return nil
}
