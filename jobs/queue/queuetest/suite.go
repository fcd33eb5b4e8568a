// Package queuetest says what a [jobs.Queue] is ([Run]), and is one in memory
// for simulations ([Queue]).
package queuetest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
)

// Open returns an empty queue for t, and a function that makes it lose
// everything it holds.
type Open func(t *testing.T) (queue jobs.Queue, lose func())

// Run checks that the queues that open returns are what [jobs.Queue] promises.
func Run(t *testing.T, open Open) {
	t.Helper()
	run(t, open, func(t *testing.T, check func(*testing.T)) {
		t.Helper()
		t.Parallel()
		check(t)
	})
}

// RunInBubble does as Run, each check in a testing/synctest bubble; open is
// called in it.
func RunInBubble(t *testing.T, open Open) {
	t.Helper()
	run(t, open, synctest.Test)
}

func run(t *testing.T, open Open, in func(*testing.T, func(*testing.T))) {
	t.Helper()
	for _, c := range checks() {
		t.Run(c.name, func(t *testing.T) {
			in(t, func(t *testing.T) {
				queue, lose := open(t)
				c.check(t, &subject{Queue: queue, lose: lose})
			})
		})
	}
}

type check struct {
	name  string
	check func(*testing.T, *subject)
}

func checks() []check {
	return []check{
		{"the more urgent first, else in order", urgentFirst},
		{"never more than concurrency at once", boundedConcurrency},
		{"each task once, then gone", eachOnce},
		{"a task that is there already is no error and runs once", enqueuedTwice},
		{"another fence is another task", anotherFence},
		{"missing is what nobody will be handed", whatIsMissing},
		{"each provider has its own consumers", providersApart},
		{"an end lets handlers finish and takes no more", goodOrder},
		{"a consumer that has ended before it began returns", endedBefore},
		{"what is lost is missing, and consuming goes on", afterLoss},
	}
}

// subject is a queue under test.
type subject struct {
	jobs.Queue
	lose func()
}

const provider = "sim"

// patience bounds every wait; a healthy queue takes a fraction of it.
const patience = 30 * time.Second

func newTask(priority jobs.Priority) jobs.Task {
	return jobs.Task{Execution: uuid.Must(uuid.NewV7()), Fence: 1, Provider: provider, Priority: priority}
}

func newTasks(n int) []jobs.Task {
	tasks := make([]jobs.Task, n)
	for i := range tasks {
		tasks[i] = newTask(jobs.PriorityNormal)
	}
	return tasks
}

func (s *subject) enqueue(t *testing.T, tasks ...jobs.Task) {
	t.Helper()
	if err := s.Enqueue(t.Context(), tasks); err != nil {
		t.Fatalf("Enqueue(%d tasks) = %v", len(tasks), err)
	}
}

func (s *subject) missing(t *testing.T, tasks ...jobs.Task) []jobs.Task {
	t.Helper()
	missing, err := s.Missing(t.Context(), tasks)
	if err != nil {
		t.Fatalf("Missing(%d tasks) = %v", len(tasks), err)
	}
	return missing
}

// consume starts a consumer and returns a function that stops it, waits for it
// and fails t if it returned anything but nil. It is called at the latest when
// t ends.
func (s *subject) consume(
	t *testing.T, provider string, concurrency int, handle func(context.Context, jobs.Task),
) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	returned := make(chan error, 1)
	go func() { returned <- s.Consume(ctx, provider, concurrency, handle) }()
	stop = sync.OnceFunc(func() {
		t.Helper()
		cancel()
		if err := receive(t, returned, "Consume to return"); err != nil {
			t.Errorf("Consume() = %v, want nil", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// receive returns the next value of c, or fails t when none comes.
func receive[T any](t *testing.T, c <-chan T, what string) (value T) {
	t.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case value = <-c:
	case <-timer.C:
		t.Fatalf("waited %v for %s", patience, what)
	}
	return value
}

// receiveN returns the next n values of c.
func receiveN[T any](t *testing.T, c <-chan T, n int, what string) []T {
	t.Helper()
	values := make([]T, 0, n)
	for range n {
		values = append(values, receive(t, c, what))
	}
	return values
}

// sameTasks reports whether both hold the same tasks, in any order.
func sameTasks(a, b []jobs.Task) bool {
	count := make(map[jobs.Task]int)
	for _, t := range a {
		count[t]++
	}
	for _, t := range b {
		count[t]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func urgentFirst(t *testing.T, s *subject) {
	var tasks, want []jobs.Task
	for range 5 {
		tasks = append(tasks, newTask(jobs.PriorityLow), newTask(jobs.PriorityNormal), newTask(jobs.PriorityHigh))
	}
	for _, priority := range jobs.Priorities() {
		for _, task := range tasks {
			if task.Priority == priority {
				want = append(want, task)
			}
		}
	}
	s.enqueue(t, tasks...)
	handled := make(chan jobs.Task, len(tasks))
	s.consume(t, provider, 1, func(_ context.Context, task jobs.Task) { handled <- task })
	got := receiveN(t, handled, len(tasks), "all tasks")
	if !slices.Equal(got, want) {
		t.Errorf("handled in the order\n%v, want\n%v", got, want)
	}
}

func boundedConcurrency(t *testing.T, s *subject) {
	const concurrency = 3
	tasks := newTasks(40)
	s.enqueue(t, tasks...)
	var running, most atomic.Int64
	started, release := make(chan struct{}, len(tasks)), make(chan struct{})
	s.consume(t, provider, concurrency, func(context.Context, jobs.Task) {
		now := running.Add(1)
		for {
			if seen := most.Load(); now <= seen || most.CompareAndSwap(seen, now) {
				break
			}
		}
		started <- struct{}{}
		<-release
		running.Add(-1)
	})
	// It gets to its bound, and stays there whenever a handler ends.
	receiveN(t, started, concurrency, "as many handlers as may run")
	for range len(tasks) - concurrency {
		release <- struct{}{}
		receive(t, started, "the next handler")
	}
	close(release)
	if got := most.Load(); got != concurrency {
		t.Errorf("%d handlers ran at once, want %d", got, concurrency)
	}
}

func eachOnce(t *testing.T, s *subject) {
	tasks := newTasks(100)
	for i := range tasks {
		tasks[i].Priority = jobs.Priorities()[i%3]
	}
	handled := make(chan jobs.Task, 2*len(tasks))
	handle := func(_ context.Context, task jobs.Task) { handled <- task }
	stop1 := s.consume(t, provider, 4, handle)
	stop2 := s.consume(t, provider, 4, handle)
	s.enqueue(t, tasks...)
	got := receiveN(t, handled, len(tasks), "all tasks")
	stop1()
	stop2()
	if !sameTasks(got, tasks) {
		t.Errorf("handled %v, want each of %v once", got, tasks)
	}
	if n := len(handled); n > 0 {
		t.Errorf("%d tasks were handled more than once", n)
	}
	if missing := s.missing(t, tasks...); !sameTasks(missing, tasks) {
		t.Errorf("after all were done %d of %d tasks are missing, want all", len(missing), len(tasks))
	}
}

func enqueuedTwice(t *testing.T, s *subject) {
	task, last := newTask(jobs.PriorityNormal), newTask(jobs.PriorityLow)
	s.enqueue(t, task, task)
	s.enqueue(t, task)
	handled, release := make(chan jobs.Task, 10), make(chan struct{})
	s.consume(t, provider, 1, func(_ context.Context, task jobs.Task) {
		handled <- task
		<-release
	})
	first := receive(t, handled, "the task")
	s.enqueue(t, task) // while it runs
	s.enqueue(t, last)
	close(release)
	if second := receive(t, handled, "the next task"); first != task || second != last {
		t.Errorf("handled %v, %v, want %v once and then %v", first, second, task, last)
	}
}

func anotherFence(t *testing.T, s *subject) {
	first := newTask(jobs.PriorityNormal)
	second := first
	second.Fence++
	s.enqueue(t, first, second)
	handled := make(chan jobs.Task, 2)
	s.consume(t, provider, 1, func(_ context.Context, task jobs.Task) { handled <- task })
	if got := receiveN(t, handled, 2, "both fences"); !sameTasks(got, []jobs.Task{first, second}) {
		t.Errorf("handled %v, want both fences", got)
	}
}

func whatIsMissing(t *testing.T, s *subject) {
	if missing := s.missing(t); len(missing) != 0 {
		t.Errorf("of no tasks %v are missing", missing)
	}
	never, running, pending := newTask(jobs.PriorityNormal), newTask(jobs.PriorityHigh), newTask(jobs.PriorityLow)
	later := running
	later.Fence++
	s.enqueue(t, running, pending)
	started, release := make(chan struct{}, 2), make(chan struct{})
	stop := s.consume(t, provider, 1, func(context.Context, jobs.Task) {
		started <- struct{}{}
		<-release
	})
	receive(t, started, "the running task")
	missing := s.missing(t, never, running, pending, later)
	if want := []jobs.Task{never, later}; !sameTasks(missing, want) {
		t.Errorf("missing are %v, want %v", missing, want)
	}
	close(release)
	receive(t, started, "the pending task")
	stop()
	if missing := s.missing(t, running, pending); len(missing) != 2 {
		t.Errorf("once done, %v are missing, want both", missing)
	}
}

func providersApart(t *testing.T, s *subject) {
	mine, other := newTask(jobs.PriorityNormal), newTask(jobs.PriorityHigh)
	other.Provider = "other"
	s.enqueue(t, other, mine)
	handled := make(chan jobs.Task, 2)
	handle := func(_ context.Context, task jobs.Task) { handled <- task }
	stop := s.consume(t, provider, 2, handle)
	if got := receive(t, handled, "the provider's task"); got != mine {
		t.Errorf("handled %v, want %v", got, mine)
	}
	stop()
	if missing := s.missing(t, other); len(missing) != 0 {
		t.Errorf("another provider's task is missing")
	}
	s.consume(t, other.Provider, 2, handle)
	if got := receive(t, handled, "the other provider's task"); got != other {
		t.Errorf("handled %v, want %v", got, other)
	}
}

type contextKey struct{}

func goodOrder(t *testing.T, s *subject) {
	running, waiting := newTask(jobs.PriorityNormal), newTask(jobs.PriorityNormal)
	s.enqueue(t, running, waiting)
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), contextKey{}, "value"))
	defer cancel()
	handled := make(chan jobs.Task, 2)
	var finished atomic.Bool
	returned := make(chan error, 1)
	go func() {
		returned <- s.Consume(ctx, provider, 1, func(handlerCtx context.Context, task jobs.Task) {
			if got := handlerCtx.Value(contextKey{}); got != "value" {
				t.Errorf("the handler's context carries %v, want the consumer's values", got)
			}
			handled <- task
			<-ctx.Done()
			if err := handlerCtx.Err(); err != nil {
				t.Errorf("the handler's context ended with the consumer's: %v", err)
			}
			finished.Store(true)
		})
	}()
	receive(t, handled, "the first task")
	cancel()
	if err := receive(t, returned, "Consume to return"); err != nil {
		t.Errorf("Consume() = %v, want nil", err)
	}
	if !finished.Load() {
		t.Error("Consume returned before its handler did")
	}
	if missing := s.missing(t, waiting); len(missing) != 0 {
		t.Error("a task that was not handled is missing")
	}
	s.consume(t, provider, 1, func(_ context.Context, task jobs.Task) { handled <- task })
	if got := receive(t, handled, "the task that was left"); got != waiting {
		t.Errorf("handled %v, want %v", got, waiting)
	}
}

func endedBefore(t *testing.T, s *subject) {
	task := newTask(jobs.PriorityNormal)
	s.enqueue(t, task)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Consume(ctx, provider, 1, func(context.Context, jobs.Task) { t.Error("a task was handled") })
	if err != nil {
		t.Errorf("Consume() = %v, want nil", err)
	}
	if missing := s.missing(t, task); len(missing) != 0 {
		t.Error("a task that was not handled is missing")
	}
}

func afterLoss(t *testing.T, s *subject) {
	running, lost, next := newTask(jobs.PriorityNormal), newTask(jobs.PriorityNormal), newTask(jobs.PriorityNormal)
	s.enqueue(t, running, lost)
	handled, release := make(chan jobs.Task, 10), make(chan struct{}, 10)
	s.consume(t, provider, 1, func(_ context.Context, task jobs.Task) {
		handled <- task
		<-release
	})
	receive(t, handled, "the first task")
	s.lose()
	if missing := s.missing(t, running, lost); len(missing) != 2 {
		t.Errorf("of two lost tasks %v are missing, want both", missing)
	}
	release <- struct{}{}
	s.enqueue(t, next)
	if got := receive(t, handled, "a task enqueued after the loss"); got != next {
		t.Errorf("handled %v, want %v", got, next)
	}
	release <- struct{}{}
}
