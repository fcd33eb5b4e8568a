package run

import (
	"context"
	"errors"
	"sync"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Why a call was cancelled.
var (
	errStopped = errors.New("nobody waits for the answer any more")
	errDrained = errors.New("the worker stops")
)

// registry knows what is running, so that it can be cancelled: a call whose
// execution was abandoned, or all of them.
type registry struct {
	mu   sync.Mutex
	runs map[*running]struct{}
	// stopped is why a run that is added now is stopped at once; nil: it is not.
	stopped error
	aborted bool
}

// running is one task at work.
type running struct {
	task jobs.Task
	// stop cancels the call; the outcome is recorded all the same.
	stop context.CancelCauseFunc
	// abort cancels the recording as well.
	abort context.CancelFunc
}

func newRegistry() *registry { return &registry{runs: make(map[*running]struct{})} }

// add registers a run and returns what removes it again.
func (g *registry) add(run *running) (remove func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.runs[run] = struct{}{}
	if g.stopped != nil {
		run.stop(g.stopped)
	}
	if g.aborted {
		run.abort()
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.runs, run)
	}
}

// stop cancels the calls of the runs that match.
func (g *registry) stop(cause error, match func(jobs.Task) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for run := range g.runs {
		if match(run.task) {
			run.stop(cause)
		}
	}
}

// stopAll cancels all calls, now and from now on.
func (g *registry) stopAll(cause error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.stopped = cause
	for run := range g.runs {
		run.stop(cause)
	}
}

// abortAll ends all runs, now and from now on, whatever is not recorded yet.
func (g *registry) abortAll() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.aborted = true
	for run := range g.runs {
		run.abort()
	}
}

// tasks lists what is running.
func (g *registry) tasks() []jobs.Task {
	g.mu.Lock()
	defer g.mu.Unlock()
	ts := make([]jobs.Task, 0, len(g.runs))
	for run := range g.runs {
		ts = append(ts, run.task)
	}
	return ts
}

// Stop cancels the running calls of executions that were abandoned: call it on
// [jobs.SignalStopped]. What it is not told of, the heartbeat finds.
func (r *Runner) Stop(executions []uuid.UUID) {
	if len(executions) == 0 {
		return
	}
	abandoned := make(map[uuid.UUID]bool, len(executions))
	for _, id := range executions {
		abandoned[id] = true
	}
	r.running.stop(errStopped, func(t jobs.Task) bool { return abandoned[t.Execution] })
}

// stopTasks cancels the running calls of exactly these tasks.
func (r *Runner) stopTasks(tasks []jobs.Task) {
	if len(tasks) == 0 {
		return
	}
	type release struct {
		execution uuid.UUID
		fence     int64
	}
	obsolete := make(map[release]bool, len(tasks))
	for _, t := range tasks {
		obsolete[release{t.Execution, t.Fence}] = true
	}
	r.running.stop(errStopped, func(t jobs.Task) bool { return obsolete[release{t.Execution, t.Fence}] })
}
