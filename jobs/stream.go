package jobs

import (
	"context"
	"encoding/json"
)

// Bus carries messages between processes as they are sent: at most once, and
// in order from one sender to one topic.
type Bus interface {
	// Publish sends messages to whoever is subscribed now. It is bounded in
	// time; after an error nobody knows which arrived.
	Publish(ctx context.Context, messages ...Message) error
	// Subscribe calls hear for each message on the topics until ctx ends, then
	// returns nil. It reconnects by itself, and calls hear with empty Data for
	// each topic it has (re)connected to: messages may have been lost. hear must
	// not block.
	Subscribe(ctx context.Context, hear func(Message), topics ...string) error
}

// Message is what a [Bus] carries.
type Message struct {
	Topic string
	Data  []byte
}

// StreamEventType says what an event of a job's stream tells of.
type StreamEventType string

// The events of a job's stream.
const (
	// StreamStatus: how the job stands, first and at each change.
	StreamStatus StreamEventType = "status"
	// StreamDelta: the next piece of the answer.
	StreamDelta StreamEventType = "delta"
	// StreamRestart: the pieces so far count no more, another run begins.
	StreamRestart StreamEventType = "restart"
	// StreamDone: the job has ended. It is the last event.
	StreamDone StreamEventType = "done"
	// StreamPing: nothing happened for a while.
	StreamPing StreamEventType = "ping"
)

// StreamEvent is an event of a job's stream.
type StreamEvent struct {
	Type StreamEventType
	// At is where the stream stands after a delta or restart.
	At StreamPosition
	// Job is that of status and done; only done has Result.
	Job Job
	// Data is the piece of a delta, in the endpoint's own form.
	Data json.RawMessage
}

// StreamPosition is a place in a job's stream: so many pieces of the run under
// this fence. Zero is before all runs.
type StreamPosition struct {
	Fence int64
	Seq   int
}

// Stream is a job's stream that nobody has begun to read.
type Stream interface {
	// Run tells of the job until it has ended, tell fails or ctx ends: its
	// status, each piece of its answer after the given position, and its end. A
	// position in a run that counts no more is answered with a restart.
	Run(ctx context.Context, after StreamPosition, tell func(...StreamEvent) error) error
	// Close must be called.
	Close()
}
