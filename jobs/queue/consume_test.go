package queue_test

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue"
)

// patience bounds every wait of tests outside bubbles.
const patience = 30 * time.Second

func TestNewRefusesNonsense(t *testing.T) {
	t.Parallel()
	_, err := queue.New(nil, queue.Config{PollInterval: time.Microsecond})
	if err == nil || !strings.Contains(err.Error(), "PollInterval") {
		t.Errorf("New(PollInterval 1µs) = %v, want an error that names the field", err)
	}
	q := newQueue(t, nil, queue.Config{})
	if err := q.Consume(t.Context(), "sim", 0, nil); err == nil {
		t.Error("Consume() with no concurrency succeeded")
	}
}

func TestPanicIsReportedAndTaskDone(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	var reported reports
	q := newQueue(t, client, queue.Config{Report: reported.add})
	bad, good := task(), task()
	handled := make(chan jobs.Task, 2)
	stop := consume(t, q, 1, func(_ context.Context, task jobs.Task) {
		handled <- task
		if task == bad {
			panic("a prompt nobody may see")
		}
	})
	if err := q.Enqueue(t.Context(), []jobs.Task{bad, good}); err != nil {
		t.Fatal(err)
	}
	receive(t, handled, patience, "the first task")
	receive(t, handled, patience, "the second task")
	stop()
	var failure *queue.PanicError
	for _, err := range reported.all() {
		if strings.Contains(err.Error(), "prompt") {
			t.Errorf("reported %q, which shows what the handler panicked with", err)
		}
		errors.As(err, &failure)
	}
	if failure == nil || failure.Task != bad || !strings.Contains(string(failure.Stack), "consume_test.go") {
		t.Errorf("reported %v, want the panic with its task and stack", reported.all())
	}
	if missing, err := q.Missing(t.Context(), []jobs.Task{bad}); err != nil || len(missing) != 1 {
		t.Errorf("Missing() = %v, %v, want the task to be done", missing, err)
	}
}

func TestPanicErrorNamesRuntimeErrors(t *testing.T) {
	t.Parallel()
	defer func() {
		cause, ok := recover().(runtime.Error)
		if got := (&queue.PanicError{Value: cause}).Error(); !ok || !strings.Contains(got, "index out of range") {
			t.Errorf("Error() = %q", got)
		}
	}()
	none := make([]int, 0)
	none[len(none)]++
}

// An old binary refuses what a newer one wrote, and says so.
func TestUnreadableTasksAreDropped(t *testing.T) {
	t.Parallel()
	for name, payload := range map[string]string{
		"a newer version":      `{"v":2,"execution":{"now":"an object"}}`,
		"one that looks alike": `{"v":2,"execution":"01900000-0000-7000-8000-000000000000","fence":1,"priority":"low"}`,
		"no version":           `{}`,
		"not JSON":             `{`,
		"an unknown priority":  `{"v":1,"execution":"01900000-0000-7000-8000-000000000000","fence":1,"priority":"urgent"}`,
		"a bad id":             `{"v":1,"execution":"x","fence":1,"priority":"low"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client := embedded(t)
				var reported reports
				q := newQueue(t, client, queue.Config{Report: reported.add})
				_, err := asynq.NewClientFromRedisClient(client).Enqueue(
					asynq.NewTask("penstock:run", []byte(payload)), asynq.Queue("sim:low"), asynq.TaskID("x:1"))
				if err != nil {
					t.Fatal(err)
				}
				consume(t, q, 1, func(_ context.Context, task jobs.Task) { t.Errorf("handled %v", task) })
				time.Sleep(time.Minute)
				errs := reported.all()
				var unreadable *queue.PayloadError
				if len(errs) != 1 || !errors.As(errs[0], &unreadable) {
					t.Errorf("reported %v, want one *PayloadError", errs)
				}
				if keys := keysOf(t, client); slices.Contains(keys, "asynq:{sim:low}:t:x:1") {
					t.Errorf("the task is still there: %q", keys)
				}
			})
		})
	}
}

// Redis is away for longer than asynq's lease while handlers run. asynq then
// gives their slots away; we do not.
func TestLostLeasesDoNotAddSlots(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := embedded(t)
		link := linked(client)
		q := newQueue(t, client, queue.Config{})
		var running, most, finished atomic.Int64
		started, release := make(chan jobs.Task, 20), make(chan struct{})
		stop := consume(t, q, 2, func(_ context.Context, task jobs.Task) {
			most.Store(max(most.Load(), running.Add(1)))
			started <- task
			<-release
			running.Add(-1)
			finished.Add(1)
		})
		if err := q.Enqueue(t.Context(), tasks(6)); err != nil {
			t.Fatal(err)
		}
		receive(t, started, patience, "the first task")
		receive(t, started, patience, "the second task")
		link.cut.Store(true)
		time.Sleep(45 * time.Second)
		link.cut.Store(false)
		time.Sleep(5 * time.Minute)
		if got := most.Load(); got != 2 {
			t.Errorf("%d handlers ran at once, want 2", got)
		}
		time.AfterFunc(time.Hour, func() { close(release) })
		stop()
		if got := finished.Load(); got != 2 {
			t.Errorf("Consume returned after %d of 2 running handlers", got)
		}
	})
}

// A task that was taken and not handled is handed to somebody else.
func TestTasksWaitingForASlotAreGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := embedded(t)
		link := linked(client)
		q := newQueue(t, client, queue.Config{})
		all := tasks(4)
		started, release := make(chan jobs.Task, 20), make(chan struct{})
		stop := consume(t, q, 1, func(_ context.Context, task jobs.Task) {
			started <- task
			<-release
		})
		if err := q.Enqueue(t.Context(), all); err != nil {
			t.Fatal(err)
		}
		first := receive(t, started, patience, "the first task")
		link.cut.Store(true)
		time.Sleep(45 * time.Second)
		link.cut.Store(false)
		time.Sleep(5 * time.Second) // asynq has taken another one, which waits
		time.AfterFunc(time.Second, func() { close(release) })
		stop()
		consume(t, q, 1, func(_ context.Context, task jobs.Task) { started <- task })
		seen := map[jobs.Task]bool{first: true}
		for len(seen) < len(all) {
			seen[receive(t, started, 10*time.Second, "the others")] = true
		}
	})
}

// Redis is away when consuming begins, and goes away again later.
func TestConsumeOutlivesRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := embedded(t)
		link := linked(client)
		link.cut.Store(true)
		var reported reports
		q := newQueue(t, client, queue.Config{Report: reported.add})
		handled := make(chan jobs.Task, 1)
		consume(t, q, 1, func(_ context.Context, task jobs.Task) { handled <- task })
		for range 3 {
			link.looks.Store(0)
			time.Sleep(time.Minute)
			if got := link.looks.Load(); got == 0 || got > 1000 {
				t.Errorf("looked %d times in a minute without Redis, want a few hundred", got)
			}
			link.cut.Store(false)
			if err := q.Enqueue(t.Context(), tasks(1)); err != nil {
				t.Fatal(err)
			}
			receive(t, handled, 2*time.Second, "a task after Redis came back")
			link.cut.Store(true)
		}
		if len(reported.all()) == 0 {
			t.Error("nothing was reported of a Redis that is away")
		}
	})
}

// The same with a real server that is killed and starts anew, empty.
func TestConsumeOutlivesRedisServer(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	client := connect(t, server.URL())
	q := newQueue(t, client, queue.Config{})
	handled := make(chan jobs.Task, 10)
	consume(t, q, 2, func(_ context.Context, task jobs.Task) { handled <- task })
	before, after := task(), task()
	if err := q.Enqueue(t.Context(), []jobs.Task{before}); err != nil {
		t.Fatal(err)
	}
	receive(t, handled, patience, "a task")
	server.Kill()
	if err := q.Enqueue(t.Context(), []jobs.Task{after}); err == nil {
		t.Error("Enqueue() succeeded without Redis")
	}
	server.Restart()
	back := time.Now()
	for q.Enqueue(t.Context(), []jobs.Task{after}) != nil {
		if time.Since(back) > patience {
			t.Fatal("Enqueue() still fails long after Redis came back")
		}
	}
	if got := receive(t, handled, patience, "a task after Redis came back"); got != after {
		t.Errorf("handled %v, want %v", got, after)
	}
	t.Logf("the first task after the restart was handled within %v", time.Since(back))
}

// FLUSHALL, with scripts gone as well: consuming goes on, and asynq's own tools
// see the queues again.
func TestConsumeOutlivesFlushAll(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.RedisServer(t).URL())
	q := newQueue(t, client, queue.Config{})
	handled := make(chan jobs.Task, 10)
	consume(t, q, 2, func(_ context.Context, task jobs.Task) { handled <- task })
	for range 3 {
		next := task()
		if err := q.Enqueue(t.Context(), []jobs.Task{next}); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, handled, patience, "a task"); got != next {
			t.Errorf("handled %v, want %v", got, next)
		}
		if queues, err := asynq.NewInspectorFromRedisClient(client).Queues(); err != nil || len(queues) != 1 {
			t.Errorf("asynq's Queues() = %v, %v, want the one in use", queues, err)
		}
		if err := errors.Join(client.FlushAll(t.Context()).Err(), client.ScriptFlush(t.Context()).Err()); err != nil {
			t.Fatal(err)
		}
	}
}

// Order and number hold when the server has forgotten the scripts, and over
// several pipelines.
func TestEnqueueManyInOrder(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.RedisServer(t).URL())
	q := newQueue(t, client, queue.Config{})
	want := tasks(2345)
	if err := q.Enqueue(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	handled := make(chan jobs.Task, len(want))
	consume(t, q, 1, func(_ context.Context, task jobs.Task) { handled <- task })
	for i := range want {
		if got := receive(t, handled, patience, "all tasks"); got != want[i] {
			t.Fatalf("task %d is %v, want %v", i, got, want[i])
		}
	}
}
