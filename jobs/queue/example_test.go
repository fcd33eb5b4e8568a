package queue_test

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/internal/embedredis"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue"
)

func Example() {
	server := embedredis.Start() // or queue.Connect(url)
	defer server.Close()
	q, err := queue.New(server.Client(), queue.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}

	release := jobs.Task{Execution: uuid.Must(uuid.NewV7()), Fence: 1, Provider: "sim", Priority: jobs.PriorityHigh}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := q.Enqueue(ctx, []jobs.Task{release}); err != nil {
		fmt.Println(err)
		return
	}
	err = q.Consume(ctx, "sim", 8, func(_ context.Context, t jobs.Task) {
		fmt.Println("the same release:", t == release)
		cancel() // Consume lets this handler finish and returns
	})
	fmt.Println("consumed:", err)
	// Output:
	// the same release: true
	// consumed: <nil>
}
