package queuetest

import (
	"context"
	"sync"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue/internal/mailbox"
)

// Queue is a [jobs.Queue] and [jobs.Signals] in memory. Nothing in it polls or
// sleeps, so months in a testing/synctest bubble cost nothing. Unlike the real
// queue it never loses or repeats a task unless told to, and a handler that
// panics ends the test.
type Queue struct {
	mu sync.Mutex
	// held are the tasks that wait or run.
	held map[jobs.Task]bool
	// waiting holds, by provider and priority, the tasks nobody has taken.
	waiting map[string]map[jobs.Priority][]jobs.Task
	// changed is closed and replaced when tasks come.
	changed   chan struct{}
	listeners map[*listener]bool
}

type listener struct {
	box   *mailbox.Mailbox
	kinds map[jobs.SignalKind]bool
}

var (
	_ jobs.Queue   = (*Queue)(nil)
	_ jobs.Signals = (*Queue)(nil)
)

// New returns an empty queue. In a synctest bubble, call it in the bubble.
func New() *Queue {
	return &Queue{
		held: make(map[jobs.Task]bool), waiting: make(map[string]map[jobs.Priority][]jobs.Task),
		changed: make(chan struct{}), listeners: make(map[*listener]bool),
	}
}

// Lose drops every task and every signal that nobody has heard yet, as a Redis
// does that lost its data. Running handlers go on; listeners hear a zero signal
// of each of their kinds, as after a lost connection.
func (q *Queue) Lose() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.held)
	clear(q.waiting)
	for l := range q.listeners {
		l.box.Reset()
	}
}

// Len returns how many tasks wait or run.
func (q *Queue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.held)
}

// Enqueue implements [jobs.Queue]. It never fails.
func (q *Queue) Enqueue(_ context.Context, tasks []jobs.Task) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, t := range tasks {
		if q.held[t] {
			continue
		}
		q.held[t] = true
		if q.waiting[t.Provider] == nil {
			q.waiting[t.Provider] = make(map[jobs.Priority][]jobs.Task)
		}
		q.waiting[t.Provider][t.Priority] = append(q.waiting[t.Provider][t.Priority], t)
	}
	close(q.changed)
	q.changed = make(chan struct{})
	return nil
}

// Missing implements [jobs.Queue]. It never fails.
func (q *Queue) Missing(_ context.Context, tasks []jobs.Task) ([]jobs.Task, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var missing []jobs.Task
	for _, t := range tasks {
		if !q.held[t] {
			missing = append(missing, t)
		}
	}
	return missing, nil
}

// Consume implements [jobs.Queue].
func (q *Queue) Consume(
	ctx context.Context, provider string, concurrency int, handle func(context.Context, jobs.Task),
) error {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, concurrency)
	for {
		select {
		case <-ctx.Done():
			return nil
		case slots <- struct{}{}:
		}
		t, ok := q.next(ctx, provider)
		if !ok {
			return nil
		}
		running.Go(func() {
			defer func() { <-slots }()
			defer q.done(t)
			handle(context.WithoutCancel(ctx), t)
		})
	}
}

// next waits for a task and takes it; it reports false when ctx has ended.
func (q *Queue) next(ctx context.Context, provider string) (jobs.Task, bool) {
	for ctx.Err() == nil {
		t, ok, changed := q.take(provider)
		if ok {
			return t, true
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	return jobs.Task{}, false
}

// take returns the most urgent task, or else a channel that is closed when
// there may be one.
func (q *Queue) take(provider string) (t jobs.Task, ok bool, changed <-chan struct{}) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, priority := range jobs.Priorities() {
		if waiting := q.waiting[provider][priority]; len(waiting) > 0 {
			q.waiting[provider][priority] = waiting[1:]
			return waiting[0], true, nil
		}
	}
	return jobs.Task{}, false, q.changed
}

func (q *Queue) done(t jobs.Task) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.held, t)
}

// Send implements [jobs.Signals]. It never fails.
func (q *Queue) Send(_ context.Context, s jobs.Signal) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for l := range q.listeners {
		if l.kinds[s.Kind] {
			l.box.Put(s)
		}
	}
	return nil
}

// Listen implements [jobs.Signals].
func (q *Queue) Listen(ctx context.Context, hear func(jobs.Signal), kinds ...jobs.SignalKind) error {
	l := &listener{box: mailbox.New(kinds), kinds: make(map[jobs.SignalKind]bool)}
	for _, kind := range kinds {
		l.kinds[kind] = true
	}
	l.box.Reset() // connected: a zero signal of each kind
	q.mu.Lock()
	q.listeners[l] = true
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		delete(q.listeners, l)
		q.mu.Unlock()
	}()
	l.box.Deliver(ctx, hear)
	return nil
}
