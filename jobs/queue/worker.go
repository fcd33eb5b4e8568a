package queue

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/hibiken/asynq"

	"github.com/penstock-dev/penstock/jobs"
)

// errStopping gives a task back that was taken while the consumer stopped.
var errStopping = errors.New("the consumer is stopping")

// worker is what asynq hands tasks to. It is the one place that says what
// asynq is told of a task: nothing went wrong, or take it back.
type worker struct {
	// slots bounds the handlers that run. asynq's own bound is not enough: it
	// gives a slot away, with the handler still running, when a lease could not
	// be renewed, at its timeout, and when someone cancels a task.
	slots    chan struct{}
	stopping <-chan struct{}
	handle   func(context.Context, jobs.Task)
	report   func(error)
}

// ProcessTask returns nil, so that asynq deletes the task, unless the task was
// never handled.
func (w *worker) ProcessTask(ctx context.Context, t *asynq.Task) error {
	task, err := decodeTask(t.Payload())
	if err != nil {
		w.report(err)
		return nil
	}
	if !w.enter() {
		return errStopping
	}
	defer func() { <-w.slots }()
	// asynq ends its context for reasons of its own; a run has its deadlines.
	w.call(context.WithoutCancel(ctx), task)
	return nil
}

// enter waits for a slot and reports false once the consumer is stopping.
func (w *worker) enter() bool {
	select {
	case <-w.stopping:
		return false
	default:
	}
	select {
	case w.slots <- struct{}{}:
		return true
	case <-w.stopping:
		return false
	}
}

// wait blocks until no handler runs; none starts afterwards.
func (w *worker) wait() {
	for range cap(w.slots) {
		w.slots <- struct{}{}
	}
}

func (w *worker) call(ctx context.Context, task jobs.Task) {
	defer func() {
		if value := recover(); value != nil {
			w.report(&PanicError{Task: task, Value: value, Stack: debug.Stack()})
		}
	}()
	w.handle(ctx, task)
}

// PanicError says that a handler panicked. Its task counts as done.
type PanicError struct {
	Task jobs.Task
	// Value is what the handler panicked with. It may hold anything: do not log it.
	Value any
	// Stack is the handler's, as of [debug.Stack].
	Stack []byte
}

// Error names the task and, if the runtime itself panicked, what it said. Of
// any other value it gives the type alone.
func (e *PanicError) Error() string {
	if err, ok := e.Value.(runtime.Error); ok {
		return fmt.Sprintf("handler of task %s panicked: %v", taskID(e.Task), err)
	}
	return fmt.Sprintf("handler of task %s panicked with a %T", taskID(e.Task), e.Value)
}
