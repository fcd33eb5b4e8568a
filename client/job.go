package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Job is a job as the API tells of it. Fields that are not known are zero.
type Job struct {
	ID     uuid.UUID `json:"id"`
	Status Status    `json:"status"`
	// WaitingOn says why a queued job is: capacity, rate_limit, breaker and others.
	WaitingOn string `json:"waiting_on"`
	// Position is the job's place among those of its tenant, from 1 on, and ETA when it may
	// begin; both of a queued job that is looked at alone.
	Position int       `json:"position"`
	ETA      time.Time `json:"eta"`
	// Endpoint is the path of the API whose body Result is.
	Endpoint string `json:"endpoint"`
	// Model is as it was asked for.
	Model       string    `json:"model"`
	Priority    Priority  `json:"priority"`
	Deadline    time.Time `json:"deadline"`
	CreatedAt   time.Time `json:"created_at"`
	StartedAt   time.Time `json:"started_at"`
	FinishedAt  time.Time `json:"finished_at"`
	RequestHash string    `json:"request_hash"`
	// Deduplicated: an equal request was under way. Cached: an earlier answer was taken, of
	// this Age in seconds.
	Deduplicated bool  `json:"deduplicated"`
	Cached       bool  `json:"cached"`
	Age          int64 `json:"age"`
	// Tries is how many calls failed in a way that counts.
	Tries    int    `json:"tries"`
	Provider string `json:"provider"`
	// Usage and CostUSD are nil when they are not known.
	Usage    *Usage            `json:"usage"`
	CostUSD  *float64          `json:"cost_usd"`
	Metadata map[string]string `json:"metadata"`
	UseCase  string            `json:"use_case"`
	// Store is false when request and answer are dropped once the answer was delivered.
	Store         bool          `json:"store"`
	OnUnavailable OnUnavailable `json:"on_unavailable"`
	// Degraded: a lesser model, or an old answer, has served.
	Degraded bool `json:"degraded"`
	// Result is the endpoint's own body. Only a job that succeeded has one; of a job in a
	// list it is left out.
	Result json.RawMessage `json:"result"`
	// Error says why a job that ended otherwise did.
	Error *JobError `json:"error"`
}

// Status is where a job stands.
type Status string

// The statuses. All but the first two are final.
const (
	StatusQueued    Status = "queued"
	StatusRunning   Status = "running"
	StatusSucceeded Status = "succeeded"
	StatusFailed    Status = "failed"
	StatusCancelled Status = "cancelled"
	StatusExpired   Status = "expired"
)

// Ended reports whether the status is final.
func (s Status) Ended() bool { return s != StatusQueued && s != StatusRunning && s != "" }

// Priority says which jobs go first.
type Priority string

// The priorities.
const (
	PriorityHigh   Priority = "high"
	PriorityNormal Priority = "normal"
	PriorityLow    Priority = "low"
)

// OnUnavailable is what to do when no target can be called.
type OnUnavailable string

// What can be done then: see openapi.yaml.
const (
	UnavailableWait    OnUnavailable = "wait"
	UnavailableFail    OnUnavailable = "fail"
	UnavailableDegrade OnUnavailable = "degrade"
)

// Usage is tokens as the provider counted them.
type Usage struct {
	InputTokens     int64 `json:"input_tokens"`
	OutputTokens    int64 `json:"output_tokens"`
	CachedTokens    int64 `json:"cached_tokens"`
	ReasoningTokens int64 `json:"reasoning_tokens"`
}

// JobError is why a job, or a line of a batch, has no answer.
type JobError struct {
	// Code is a word of Penstock's taxonomy, such as server_error, or cancelled, expired,
	// poisoned and others.
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (e *JobError) Error() string { return "penstock: " + e.Code + ": " + e.Message }

// Decode reads the job's result into the given value. It is the job's error if the job
// ended otherwise, and an error if it has not ended.
func (j Job) Decode(into any) error {
	switch {
	case j.Error != nil:
		return j.Error
	case j.Status != StatusSucceeded:
		return fmt.Errorf("client: the job is %s", j.Status)
	case j.Result == nil:
		return errors.New("client: the result was left out: get the job alone")
	}
	if err := json.Unmarshal(j.Result, into); err != nil {
		return fmt.Errorf("client: understand the result: %w", err)
	}
	return nil
}

// UnmarshalJSON reads what the API tells of a job.
func (j *Job) UnmarshalJSON(data []byte) error {
	type plain Job
	if err := json.Unmarshal(data, (*plain)(j)); err != nil {
		return err
	}
	if string(j.Result) == "null" {
		j.Result = nil
	}
	return nil
}
