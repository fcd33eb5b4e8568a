package queue

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"

	"github.com/penstock-dev/penstock/jobs"
)

func asynqTask(t *testing.T) *asynq.Task {
	t.Helper()
	payload, err := encodeTask(jobs.Task{Execution: uuid.Must(uuid.NewV7()), Fence: 1, Provider: "sim"})
	if err != nil {
		t.Fatal(err)
	}
	return asynq.NewTask(taskType, payload)
}

// asynq ends its context for reasons of its own: a lost lease, a stop.
func TestHandlerDoesNotEndWithAsynqsContext(t *testing.T) {
	t.Parallel()
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	cancel()
	w := &worker{slots: make(chan struct{}, 1), handle: func(ctx context.Context, _ jobs.Task) {
		if ctx.Err() != nil || ctx.Value(key{}) != "value" {
			t.Errorf("the handler's context: %v, value %v; want it alive, with its values", ctx.Err(), ctx.Value(key{}))
		}
	}}
	if err := w.ProcessTask(ctx, asynqTask(t)); err != nil {
		t.Errorf("ProcessTask() = %v, want nil: the task is done", err)
	}
}

// A consumer that stops starts no handler, although it has a slot free.
func TestNoHandlerStartsWhileStopping(t *testing.T) {
	t.Parallel()
	stopping := make(chan struct{})
	close(stopping)
	w := &worker{slots: make(chan struct{}, 1), stopping: stopping, handle: func(context.Context, jobs.Task) {
		t.Error("a handler ran")
	}}
	for range 100 {
		if err := w.ProcessTask(t.Context(), asynqTask(t)); !errors.Is(err, errStopping) {
			t.Fatalf("ProcessTask() = %v, want %v: the task is given back", err, errStopping)
		}
	}
}

// What asynq is told, where no behaviour shows it in less than a drain's time.
func TestServerConfig(t *testing.T) {
	t.Parallel()
	var reported []error
	q, err := New(&scripted{}, Config{Report: func(err error) { reported = append(reported, err) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := q.serverConfig(ctx, "sim", 7)
	cancel()
	if err := c.BaseContext().Err(); err != nil {
		t.Errorf("the base context is over with the consumer's: %v; asynq would give running tasks back", err)
	}
	if c.ShutdownTimeout < 365*24*time.Hour {
		t.Errorf("ShutdownTimeout = %v: asynq would give running tasks back", c.ShutdownTimeout)
	}
	if c.IsFailure(errStopping) {
		t.Error("a task that was given back counts as failed")
	}
	if !c.StrictPriority || c.Concurrency != 7 || len(c.Queues) != len(jobs.Priorities()) {
		t.Errorf("got %+v, want strict priorities, 7 at once, a queue each", c)
	}
	c.ErrorHandler.HandleError(t.Context(), asynqTask(t), errStopping)
	if len(reported) != 0 {
		t.Errorf("reported %v, want nothing of a task that is given back", reported)
	}
	c.ErrorHandler.HandleError(t.Context(), asynqTask(t), errors.New("lease expired"))
	if len(reported) != 1 {
		t.Errorf("reported %v, want that asynq gave up", reported)
	}
}
