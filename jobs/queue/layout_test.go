package queue_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue"
)

// The tests in this file pin what this package knows of asynq's insides. When
// one of them fails after an upgrade, read asynq's internal/base and
// internal/rdb again before changing it.

// What a task is in Redis: these keys and, of content, ids only (invariant 10).
func TestTaskInRedis(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	q := newQueue(t, client, queue.Config{})
	task := task()
	task.Priority = jobs.PriorityHigh
	if err := q.Enqueue(t.Context(), []jobs.Task{task}); err != nil {
		t.Fatal(err)
	}
	id := task.Execution.String() + ":1"
	want := []string{"asynq:queues", "asynq:{sim:high}:pending", "asynq:{sim:high}:t:" + id}
	if got := keysOf(t, client); !slices.Equal(got, want) {
		t.Errorf("keys are %q, want %q", got, want)
	}
	info, err := asynq.NewInspectorFromRedisClient(client).GetTaskInfo("sim:high", id)
	if err != nil {
		t.Fatalf("asynq's GetTaskInfo() = %v", err)
	}
	if info.State != asynq.TaskStatePending || info.Retention != 0 || info.MaxRetry < 1e9 || info.Timeout < 7*24*time.Hour {
		t.Errorf("asynq sees state %v, retention %v, %d retries, timeout %v",
			info.State, info.Retention, info.MaxRetry, info.Timeout)
	}
	var payload map[string]any
	if err := json.Unmarshal(info.Payload, &payload); err != nil {
		t.Fatal(err)
	}
	for key := range payload {
		if !slices.Contains([]string{"v", "execution", "fence", "provider", "priority"}, key) {
			t.Errorf("the payload holds %q", key)
		}
	}
}

// Nothing of a task stays once its handler has returned: asynq's counters do,
// and what servers say of themselves, each with a TTL or of fixed number.
func TestDoneTaskLeavesNothing(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	q := newQueue(t, client, queue.Config{})
	handled := make(chan jobs.Task, 3)
	stop := consume(t, q, 3, func(_ context.Context, task jobs.Task) { handled <- task })
	if err := q.Enqueue(t.Context(), tasks(3)); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		receive(t, handled, patience, "a task")
	}
	stop()
	for _, key := range keysOf(t, client) {
		if key != "asynq:queues" && !strings.HasPrefix(key, "asynq:{sim:normal}:processed") {
			t.Errorf("key %q is left", key)
		}
	}
}

// An idle consumer looks once in a poll interval, not in asynq's own: this
// fails when asynq takes tasks in a way that is no longer recognised.
func TestIdleConsumerLooksOncePerInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := embedded(t)
		link := linked(client)
		q := newQueue(t, client, queue.Config{PollInterval: 2 * time.Second})
		consume(t, q, 1, func(context.Context, jobs.Task) {})
		time.Sleep(200 * time.Second)
		// Three queues, 100 intervals that vary by a half.
		if got := link.looks.Load(); got < 3*80 || got > 3*125 {
			t.Errorf("looked %d times at a queue in 100 intervals, want about 300", got)
		}
	})
}

// A task comes at once, whatever the interval.
func TestEnqueueWakesIdleConsumer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := embedded(t)
		q := newQueue(t, client, queue.Config{PollInterval: 1000 * time.Hour})
		handled := make(chan jobs.Task, 1)
		consume(t, q, 1, func(_ context.Context, task jobs.Task) { handled <- task })
		for range 10 {
			time.Sleep(time.Minute)
			start := time.Now()
			if err := q.Enqueue(t.Context(), tasks(1)); err != nil {
				t.Fatal(err)
			}
			receive(t, handled, patience, "the task")
			if got := time.Since(start); got > 5*time.Millisecond {
				t.Errorf("picked up after %v", got)
			}
		}
	})
}

// The lease is short until the worker's first heartbeat, then asynq's own.
func TestFirstLeaseIsShort(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := embedded(t)
		q := newQueue(t, client, queue.Config{})
		task, started, release := task(), make(chan struct{}), make(chan struct{})
		consume(t, q, 1, func(context.Context, jobs.Task) {
			close(started)
			<-release
		})
		if err := q.Enqueue(t.Context(), []jobs.Task{task}); err != nil {
			t.Fatal(err)
		}
		receive(t, started, patience, "the task")
		if got := leaseLeft(t, client, task); got < 9*time.Second || got > 10*time.Second {
			t.Errorf("the first lease is %v, want 10s", got)
		}
		time.Sleep(6 * time.Second)
		if got := leaseLeft(t, client, task); got < 20*time.Second {
			t.Errorf("the lease is %v after a heartbeat, want asynq's 30s", got)
		}
		close(release)
	})
}

func leaseLeft(t *testing.T, client redis.UniversalClient, task jobs.Task) time.Duration {
	t.Helper()
	until, err := client.ZScore(t.Context(), "asynq:{sim:normal}:lease", task.Execution.String()+":1").Result()
	if err != nil {
		t.Fatalf("the task has no lease: %v", err)
	}
	return time.Until(time.Unix(int64(until), 0))
}
