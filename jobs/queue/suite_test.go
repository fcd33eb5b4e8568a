package queue_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/embedredis"
	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue"
	"github.com/penstock-dev/penstock/jobs/queue/queuetest"
)

func TestQueueOnEmbeddedRedis(t *testing.T) {
	t.Parallel()
	queuetest.RunInBubble(t, func(t *testing.T) (jobs.Queue, func()) {
		t.Helper()
		client := embedded(t)
		return newQueue(t, client, queue.Config{}), func() { flush(t, client) }
	})
}

func TestQueueOnRedis(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) (jobs.Queue, func()) {
		t.Helper()
		client := connect(t, testenv.Redis(t))
		return newQueue(t, client, queue.Config{}), func() { flush(t, client) }
	})
}

func newQueue(t testing.TB, client redis.UniversalClient, config queue.Config) *queue.Queue {
	t.Helper()
	q, err := queue.New(client, config)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	return q
}

// embedded returns a client of a Redis of t's own, in this process.
func embedded(t *testing.T) redis.UniversalClient {
	t.Helper()
	server := embedredis.Start()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close the embedded Redis: %v", err)
		}
	})
	return server.Client()
}

func connect(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	client, err := queue.Connect(url)
	if err != nil {
		t.Fatalf("Connect() = %v", err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Errorf("close the client: %v", err)
		}
	})
	return client
}

// flush empties the client's database.
func flush(t testing.TB, client redis.UniversalClient) {
	t.Helper()
	if err := client.FlushDB(t.Context()).Err(); err != nil {
		t.Fatalf("FLUSHDB = %v", err)
	}
}
