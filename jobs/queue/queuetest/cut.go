package queuetest

import (
	"context"
	"slices"

	"github.com/penstock-dev/penstock/jobs"
)

// Cut is a queue as a process sees it that may be cut off from it. Signals pass
// all the same.
type Cut struct {
	*Queue
	// Before is asked before tasks are handed over or asked about. An error is
	// the answer, and nothing happens.
	Before func() error
	// Lost, if set, says which tasks are lost on their way: nobody is told.
	Lost func(jobs.Task) bool
	// Killed is closed when the process dies: it takes no more tasks, and what
	// it has, it keeps. Nil: it never does.
	Killed <-chan struct{}
}

var (
	_ jobs.Queue   = (*Cut)(nil)
	_ jobs.Signals = (*Cut)(nil)
)

// Enqueue implements [jobs.Queue].
func (c *Cut) Enqueue(ctx context.Context, tasks []jobs.Task) error {
	if err := c.Before(); err != nil {
		return err
	}
	if c.Lost != nil {
		tasks = slices.DeleteFunc(slices.Clone(tasks), c.Lost)
	}
	return c.Queue.Enqueue(ctx, tasks)
}

// Missing implements [jobs.Queue].
func (c *Cut) Missing(ctx context.Context, tasks []jobs.Task) ([]jobs.Task, error) {
	if err := c.Before(); err != nil {
		return nil, err
	}
	return c.Queue.Missing(ctx, tasks)
}

// Consume implements [jobs.Queue].
func (c *Cut) Consume(
	ctx context.Context, provider string, concurrency int, handle func(context.Context, jobs.Task),
) error {
	taking, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.Killed:
			cancel()
		case <-taking.Done():
		}
	}()
	err := c.Queue.Consume(taking, provider, concurrency, handle)
	<-ctx.Done()
	return err
}
