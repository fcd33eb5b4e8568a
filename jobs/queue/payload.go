package queue

import (
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// taskType is what asynq calls our one kind of task.
const taskType = "penstock:run"

// payloadVersion is the schema this binary writes and the only one it reads.
const payloadVersion = 1

// payload is what a task holds in Redis: ids only.
type payload struct {
	Version   int       `json:"v"`
	Execution uuid.UUID `json:"execution"`
	Fence     int64     `json:"fence"`
	Provider  string    `json:"provider"`
	Priority  string    `json:"priority"`
}

// PayloadError says that a task in Redis was not one this binary can read,
// such as one written by a newer version. The task is dropped: the reconciler
// releases its execution again.
type PayloadError struct {
	// Version is the schema version found, zero if there was none.
	Version int
	Err     error
}

// Error says the version found and the one known.
func (e *PayloadError) Error() string {
	return fmt.Sprintf("read task: schema version %d, this binary knows %d: %v", e.Version, payloadVersion, e.Err)
}

// Unwrap returns the cause.
func (e *PayloadError) Unwrap() error { return e.Err }

func encodeTask(t jobs.Task) ([]byte, error) {
	return json.Marshal(payload{
		Version: payloadVersion, Execution: t.Execution, Fence: t.Fence,
		Provider: t.Provider, Priority: t.Priority.String(),
	})
}

func decodeTask(b []byte) (jobs.Task, error) {
	// The version alone is read first: the fields of another may be of other types.
	var schema struct {
		Version int `json:"v"`
	}
	if err := json.Unmarshal(b, &schema); err != nil {
		return jobs.Task{}, &PayloadError{Err: fmt.Errorf("not JSON of ours: %w", err)}
	}
	if schema.Version != payloadVersion {
		return jobs.Task{}, &PayloadError{Version: schema.Version, Err: fmt.Errorf("unknown version")}
	}
	var p payload
	if err := json.Unmarshal(b, &p); err != nil {
		return jobs.Task{}, &PayloadError{Version: schema.Version, Err: err}
	}
	priority, ok := jobs.ParsePriority(p.Priority)
	if !ok {
		return jobs.Task{}, &PayloadError{Version: schema.Version, Err: fmt.Errorf("unknown priority")}
	}
	return jobs.Task{Execution: p.Execution, Fence: p.Fence, Provider: p.Provider, Priority: priority}, nil
}
