package jobs

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Queue carries released tasks to workers. It may lose everything at any
// moment: the reconciler finds what is missing. What a queue is, is what
// jobs/queue/queuetest.Run says.
type Queue interface {
	// Enqueue hands tasks over. A task that is there already is no error.
	Enqueue(ctx context.Context, tasks []Task) error
	// Missing returns those of tasks that no worker will ever be handed: the
	// queue does not know them, or holds them in a way that blocks them for ever.
	// Age plays no part. An error means that nothing is known.
	Missing(ctx context.Context, tasks []Task) ([]Task, error)
	// Consume hands tasks of one provider to handle, at most concurrency at
	// once, the more urgent priority first, until ctx ends. Then it takes no
	// more, waits for running handlers, and returns nil. The context given to
	// handle carries values only; it does not end with ctx. A task counts as
	// done when handle returns: the queue never retries.
	Consume(ctx context.Context, provider string, concurrency int, handle func(context.Context, Task)) error
}

// SignalKind says what a signal tells of.
type SignalKind string

// The kinds of signals.
const (
	// SignalReady: an execution became ready, or a slot became free.
	SignalReady SignalKind = "ready"
	// SignalEnded: jobs ended.
	SignalEnded SignalKind = "ended"
	// SignalStopped: executions were abandoned; their calls serve nobody.
	SignalStopped SignalKind = "stopped"
	// SignalWebhooks: endpoints for webhooks were changed, or there is something to
	// deliver that no job's end tells of.
	SignalWebhooks SignalKind = "webhooks"
	// SignalBatches: batches were made, or told to go on, to pause or to end.
	SignalBatches SignalKind = "batches"
)

// Signal wakes whoever waits for what it tells of. It informs nobody: the
// receiver looks in the store.
type Signal struct {
	Kind SignalKind `json:"kind"`
	// Jobs are those that ended.
	Jobs []uuid.UUID `json:"jobs,omitempty"`
	// Executions are those that were abandoned.
	Executions []uuid.UUID `json:"executions,omitempty"`
	// Endpoints are those for webhooks that were changed, or have something to deliver;
	// none: any of them.
	Endpoints []uuid.UUID `json:"endpoints,omitempty"`
	// Batches are those that were made or changed; none: any of them.
	Batches []uuid.UUID `json:"batches,omitempty"`
	// At is when an execution that was given back may run; zero: now.
	At time.Time `json:"at,omitzero"`
}

// Signals carries signals between processes, at most once and in no order: a
// lost one costs a poll interval.
type Signals interface {
	// Send tells every listener, this process's own included. It does not wait
	// for them, and a failure to send is not worth failing for.
	Send(ctx context.Context, s Signal) error
	// Listen calls hear for each signal of the given kinds until ctx ends, then
	// returns nil. It reconnects by itself, and calls hear once with a zero
	// Signal of each kind after it has (re)connected: signals may have been lost.
	Listen(ctx context.Context, hear func(Signal), kinds ...SignalKind) error
}
