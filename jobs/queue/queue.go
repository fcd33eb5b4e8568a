// Package queue carries released tasks and signals through Redis: tasks with
// asynq, signals with publish and subscribe.
//
// Redis is disposable. Emptied or lost, tasks are gone until the reconciler
// has asked [Queue.Missing] about them, and signals are gone for good; both
// only cost time. Tasks and signals hold ids, never a prompt or an answer.
package queue

import (
	"cmp"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/jobs"
)

// Config shapes a [Queue]. The zero value is a sensible choice.
type Config struct {
	// PollInterval is how often, on average, an idle consumer looks for tasks
	// without having been woken. It bounds the delay of a task whose wake-up was
	// lost; a wake-up itself takes about a millisecond. Default 1 s, at least
	// 1 ms.
	PollInterval time.Duration
	// Report is told of what went wrong and was not returned to a caller, such
	// as a lost connection, a *[PanicError] or a *[PayloadError]. It is called
	// from many goroutines and must not block. Errors hold ids and addresses
	// only. Default: nobody is told.
	Report func(error)
}

const defaultPollInterval = time.Second

// Queue is a [jobs.Queue] on asynq. It is safe for use by many goroutines.
type Queue struct {
	client redis.UniversalClient
	poll   time.Duration
	report func(error)
}

var _ jobs.Queue = (*Queue)(nil)

// New returns a queue on client, which stays the caller's: it is to be closed
// after every Consume has returned. It fails only for a Config that makes no
// sense; Redis need not be there yet.
func New(client redis.UniversalClient, config Config) (*Queue, error) {
	poll := cmp.Or(config.PollInterval, defaultPollInterval)
	if poll < time.Millisecond {
		return nil, fmt.Errorf("queue: PollInterval is %v, want at least 1ms", config.PollInterval)
	}
	report := config.Report
	if report == nil {
		report = func(error) {}
	}
	return &Queue{client: client, poll: poll, report: report}, nil
}
