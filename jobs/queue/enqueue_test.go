package queue_test

import (
	"testing"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue"
)

// A server that was restarted knows no script. Neither is a task lost for that,
// nor is one that is there already an error.
func TestEnqueueTeachesTheScript(t *testing.T) {
	t.Parallel()
	client := embedded(t)
	q := newQueue(t, client, queue.Config{})
	all := tasks(5)
	for n := range all {
		if err := client.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
		if err := q.Enqueue(t.Context(), all[:n+1]); err != nil {
			t.Fatalf("enqueue %d tasks, all but one of them again: %v", n+1, err)
		}
	}
	length, err := client.LLen(t.Context(), "asynq:{sim:normal}:pending").Result()
	if err != nil || length != int64(len(all)) {
		t.Errorf("%d tasks wait, %v; want %d", length, err, len(all))
	}
	if missing, err := q.Missing(t.Context(), all); err != nil || len(missing) != 0 {
		t.Errorf("Missing() = %v, %v, want none", missing, err)
	}
	if err := q.Enqueue(t.Context(), []jobs.Task{}); err != nil {
		t.Errorf("enqueue nothing: %v", err)
	}
}
