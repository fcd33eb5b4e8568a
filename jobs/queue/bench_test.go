package queue_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue"
)

// BenchmarkPickup measures how long a task waits for an idle consumer, and what
// a consumer costs that has nothing to do, beside asynq as it comes at several
// polling intervals.
//
//	scripts/with-servers.sh go test ./jobs/queue -run '^$' -bench Pickup -benchtime 300x
func BenchmarkPickup(b *testing.B) {
	b.Run("queue", func(b *testing.B) {
		q := newQueue(b, connect(b, testenv.Redis(b)), queue.Config{})
		handled := make(chan struct{})
		consume(b, q, 8, func(context.Context, jobs.Task) { handled <- struct{}{} })
		measurePickup(b, handled, func(t jobs.Task) error { return q.Enqueue(b.Context(), []jobs.Task{t}) })
	})
	for _, interval := range []int{5, 10, 20, 50} {
		b.Run("asynq/"+strconv.Itoa(interval)+"ms", func(b *testing.B) {
			client := connect(b, testenv.Redis(b))
			handled := make(chan struct{})
			server := asynq.NewServerFromRedisClient(client, asynq.Config{
				Concurrency: 8, Queues: map[string]int{"high": 3, "normal": 2, "low": 1}, StrictPriority: true,
				TaskCheckInterval: time.Duration(interval) * time.Millisecond, LogLevel: asynq.FatalLevel,
			})
			err := server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
				handled <- struct{}{}
				return nil
			}))
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(server.Shutdown)
			sender := asynq.NewClientFromRedisClient(client)
			measurePickup(b, handled, func(t jobs.Task) error {
				_, err := sender.Enqueue(asynq.NewTask("run", nil), asynq.TaskID(t.Execution.String()), asynq.Queue("normal"))
				return err
			})
		})
	}
}

func measurePickup(b *testing.B, handled <-chan struct{}, enqueue func(jobs.Task) error) {
	b.Helper()
	var waits []time.Duration
	for b.Loop() {
		b.StopTimer()
		// A moment nobody has chosen: the consumer is idle, somewhere in its interval.
		idle(b, 2*time.Millisecond+rand.N(50*time.Millisecond))
		b.StartTimer()
		start := time.Now()
		if err := enqueue(task()); err != nil {
			b.Fatal(err)
		}
		<-handled
		waits = append(waits, time.Since(start))
	}
	slices.Sort(waits)
	b.ReportMetric(ms(waits[len(waits)/2]), "p50-ms")
	b.ReportMetric(ms(waits[len(waits)*95/100]), "p95-ms")
	b.ReportMetric(100*idleCPU(b), "idle-%cpu")
}

// idleCPU returns the share of a core that this process uses while nothing
// happens. The server's own share is about the same again.
func idleCPU(b *testing.B) float64 {
	b.Helper()
	before, begun := cpuTime(), time.Now()
	idle(b, 2*time.Second)
	return float64(cpuTime()-before) / float64(time.Since(begun))
}

// idle leaves the consumer alone for d, or until the benchmark is broken off:
// what idling costs is part of what is measured.
func idle(b *testing.B, d time.Duration) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	<-ctx.Done()
}

func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		panic(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkEnqueue measures tasks a second, beside asynq called from 16
// goroutines.
func BenchmarkEnqueue(b *testing.B) {
	for _, size := range []int{1, 10, 100, 1000} {
		b.Run("queue/"+strconv.Itoa(size), func(b *testing.B) {
			q := newQueue(b, connect(b, testenv.Redis(b)), queue.Config{})
			n := 0
			for b.Loop() {
				if err := q.Enqueue(b.Context(), tasks(size)); err != nil {
					b.Fatal(err)
				}
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
	for _, size := range []int{100, 1000} {
		b.Run(fmt.Sprintf("asynq-16-goroutines/%d", size), func(b *testing.B) {
			client := asynq.NewClientFromRedisClient(connect(b, testenv.Redis(b)))
			n := 0
			for b.Loop() {
				enqueueParallel(b, client, tasks(size))
				n += size
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

func enqueueParallel(b *testing.B, client *asynq.Client, tasks []jobs.Task) {
	b.Helper()
	var senders sync.WaitGroup
	for part := range slices.Chunk(tasks, (len(tasks)+15)/16) {
		senders.Go(func() {
			for _, t := range part {
				_, err := client.Enqueue(asynq.NewTask("run", nil), asynq.TaskID(t.Execution.String()))
				if err != nil {
					b.Error(err)
				}
			}
		})
	}
	senders.Wait()
}

// BenchmarkMissing measures one look for 100 tasks in a queue of the given length.
func BenchmarkMissing(b *testing.B) {
	for _, length := range []int{100, 1000, 100_000} {
		b.Run(strconv.Itoa(length), func(b *testing.B) {
			q := newQueue(b, connect(b, testenv.Redis(b)), queue.Config{})
			held := tasks(length)
			if err := q.Enqueue(b.Context(), held); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if missing, err := q.Missing(b.Context(), held[:100]); err != nil || len(missing) > 0 {
					b.Fatal(missing, err)
				}
			}
		})
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func task() jobs.Task {
	return jobs.Task{Execution: uuid.Must(uuid.NewV7()), Fence: 1, Provider: "sim", Priority: jobs.PriorityNormal}
}

func tasks(n int) []jobs.Task {
	tasks := make([]jobs.Task, n)
	for i := range tasks {
		tasks[i] = task()
	}
	return tasks
}

// consume starts a consumer for the provider of task(), and returns a function
// that stops it and waits. It is called at the latest when t ends.
func consume(t testing.TB, q jobs.Queue, concurrency int, handle func(context.Context, jobs.Task)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	returned := make(chan error, 1)
	go func() { returned <- q.Consume(ctx, "sim", concurrency, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-returned; err != nil {
			t.Errorf("Consume() = %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}
