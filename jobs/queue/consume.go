package queue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// forever is longer than any drain. asynq would cut off handlers after its
	// ShutdownTimeout; how long a run may take is the run's to say.
	forever = 10 * 365 * 24 * time.Hour
	// recheck is what asynq sleeps after it found its queues empty. The waiting
	// is done before, in patientClient, where it can be cut short.
	recheck = 100 * time.Microsecond
	// sweepInterval is how often asynq looks for completed tasks to delete. There
	// are none: ours are deleted when their handler returns.
	sweepInterval = time.Hour
)

// Consume implements [jobs.Queue]. It goes on while Redis is away, and hands
// tasks out again within about a second of its return. It fails only for a
// concurrency below 1.
//
// A handler that panics does not take the process with it: Config.Report gets
// a *[PanicError], and the task counts as done.
func (q *Queue) Consume(
	ctx context.Context, provider string, concurrency int, handle func(context.Context, jobs.Task),
) error {
	if concurrency < 1 {
		return fmt.Errorf("consume tasks of %s: concurrency is %d, want at least 1", provider, concurrency)
	}
	woken := make(chan struct{}, 1)
	var listening sync.WaitGroup
	listening.Go(func() { q.listenForWakes(ctx, provider, woken) })
	defer listening.Wait()

	worker := &worker{
		slots: make(chan struct{}, concurrency), stopping: ctx.Done(), handle: handle, report: q.report,
	}
	server := asynq.NewServerFromRedisClient(q.patientClient(ctx, provider, woken), q.serverConfig(ctx, provider, concurrency))
	// Start reaches for nothing: it works, and goes on working, without Redis.
	if err := server.Start(worker); err != nil {
		return fmt.Errorf("consume tasks of %s: %w", provider, err)
	}
	<-ctx.Done()
	server.Stop()
	server.Shutdown()
	worker.wait()
	return nil
}

// serverConfig returns what one provider's server is given.
//
// The priorities are strict. What share each one gets is decided when
// executions are released; a few hundred tasks at most sit here, all of them
// allowed to run, and weights would only undo that decision at random.
func (q *Queue) serverConfig(ctx context.Context, provider string, concurrency int) asynq.Config {
	return asynq.Config{
		Concurrency:       concurrency,
		Queues:            queueWeights(provider),
		StrictPriority:    true,
		TaskCheckInterval: recheck,
		BaseContext:       func() context.Context { return context.WithoutCancel(ctx) },
		RetryDelayFunc:    func(int, error, *asynq.Task) time.Duration { return 0 },
		// What comes back here was not handled. It never counts against a task,
		// so that asynq never archives one.
		IsFailure:       func(error) bool { return false },
		ErrorHandler:    asynq.ErrorHandlerFunc(q.handleError),
		Logger:          logger{report: q.report},
		LogLevel:        asynq.WarnLevel,
		ShutdownTimeout: forever,
		JanitorInterval: sweepInterval,
	}
}

// queueWeights names the queues of a provider. With strict priorities the
// greater weight simply goes first.
func queueWeights(provider string) map[string]int {
	weights := make(map[string]int)
	priorities := jobs.Priorities()
	for i, priority := range priorities {
		weights[queueName(provider, priority)] = len(priorities) - i
	}
	return weights
}

// handleError is told by asynq of every task that did not end with a handler's
// return.
func (q *Queue) handleError(ctx context.Context, _ *asynq.Task, err error) {
	if errors.Is(err, errStopping) {
		return
	}
	id, _ := asynq.GetTaskID(ctx)
	q.report(fmt.Errorf("asynq gave up waiting for task %s: %w", id, err))
}

// listenForWakes fills woken whenever an idle consumer should look.
func (q *Queue) listenForWakes(ctx context.Context, provider string, woken chan<- struct{}) {
	listener := listener{
		client:   q.client,
		channels: []string{wakeChannel(q.client, provider)},
		hear: func(string, string, bool) {
			select {
			case woken <- struct{}{}:
			default:
			}
		},
		report: q.report,
	}
	listener.run(ctx)
}
