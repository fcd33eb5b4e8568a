package bench

import (
	"context"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs/queue"
)

// BenchmarkTasks: what asynq alone carries a second, tasks of an id whose handler does
// nothing. Compare BenchmarkDeliveries, and ADR-7.
func BenchmarkTasks(b *testing.B) {
	redisClient, err := queue.Connect(testenv.Redis(b))
	if err != nil {
		b.Fatal(err)
	}
	defer redisClient.Close()
	var handled sync.WaitGroup
	server := asynq.NewServerFromRedisClient(redisClient, asynq.Config{Concurrency: 128, LogLevel: asynq.FatalLevel})
	err = server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error {
		handled.Done()
		return nil
	}))
	if err != nil {
		b.Fatal(err)
	}
	defer server.Shutdown()
	client := asynq.NewClientFromRedisClient(redisClient)
	b.ResetTimer()
	handled.Add(b.N)
	next := make(chan struct{}, b.N)
	for range b.N {
		next <- struct{}{}
	}
	close(next)
	for range 16 {
		go func() {
			for range next {
				id := uuid.Must(uuid.NewV7())
				if _, err := client.Enqueue(asynq.NewTask("deliver", id[:]), asynq.TaskID(id.String()), asynq.MaxRetry(0)); err != nil {
					b.Error(err)
				}
			}
		}()
	}
	handled.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
}
