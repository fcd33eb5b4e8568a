// Package live shows an answer while it arrives: a [Relay] in the worker that
// reads it, a [Hub] in the process that listeners are connected to, and a
// [Follower] that makes a job's stream of both.
//
// The store is the truth here too. Pieces are kept by the worker as long as it
// reads, and nowhere else: whoever comes late asks the worker for what it has
// missed, whoever comes after the end has the result. A run that nobody
// listens to is announced once and costs no other message.
package live

import (
	"encoding/json"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// The topics all share. A hub is answered on a topic of its own.
const (
	topicBegun = "live:begun"
	topicAsked = "live:asked"
)

func topicOf(hub uuid.UUID) string { return "live:" + hub.String() }

// begun tells that runs have begun.
type begun struct {
	Runs []run `json:"runs"`
}

// run names one run of an execution.
type run struct {
	Execution uuid.UUID `json:"execution"`
	Fence     int64     `json:"fence"`
}

// asked asks for what is missing of executions, from now on.
type asked struct {
	Hub   uuid.UUID `json:"hub"`
	Wants []want    `json:"wants"`
}

// want says what a hub has of an execution: Have pieces of this run.
type want struct {
	run
	Have int `json:"have"`
}

// told is a part of a run's answer.
type told struct {
	run
	// From is how many pieces come before these.
	From   int               `json:"from"`
	Pieces []json.RawMessage `json:"pieces"`
	// Over says that no more will follow.
	Over bool `json:"over"`
}

// maxRuns and maxBytes bound a message; one piece may be larger.
const (
	maxRuns  = 500
	maxBytes = 256 << 10
)

func encode(topic string, v any) jobs.Message {
	data, err := json.Marshal(v)
	if err != nil {
		panic("live: a message is not JSON: " + err.Error()) // pieces are, and all else is ours
	}
	return jobs.Message{Topic: topic, Data: data}
}
