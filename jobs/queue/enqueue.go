package queue

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// enqueueChunk bounds the memory and the time that one pipeline takes.
	enqueueChunk = 1000
	// handlerTimeout is asynq's own limit on a handler, which we do not use: past
	// it asynq frees the slot while the handler goes on. Runs end by deadlines of
	// their own, far below. Zero would mean asynq's default of 30 minutes.
	handlerTimeout = 30 * 24 * time.Hour
)

// Enqueue implements [jobs.Queue]. The tasks of one queue stay in the order
// given. When it fails, some of the tasks may have been handed over.
func (q *Queue) Enqueue(ctx context.Context, tasks []jobs.Task) error {
	for chunk := range slices.Chunk(tasks, enqueueChunk) {
		if err := q.enqueueChunk(ctx, chunk); err != nil {
			return fmt.Errorf("enqueue %d tasks: %w", len(tasks), err)
		}
	}
	q.wake(ctx, tasks)
	return nil
}

// enqueueChunk sends tasks through one pipeline, and once more for each server
// that does not know asynq's script yet.
func (q *Queue) enqueueChunk(ctx context.Context, tasks []jobs.Task) error {
	for len(tasks) > 0 {
		rest, err := q.pipeline(ctx, tasks)
		if err != nil || len(rest) == 0 {
			return err
		}
		// asynq alone knows its script: enqueued without a pipeline, a task
		// teaches it to the server.
		if err := enqueueTask(ctx, asynq.NewClientFromRedisClient(q.client), rest[0]); err != nil {
			return err
		}
		tasks = rest[1:]
	}
	return nil
}

// pipeline enqueues tasks in one round trip. It returns those that are not
// enqueued because their server does not know the script.
func (q *Queue) pipeline(ctx context.Context, tasks []jobs.Task) ([]jobs.Task, error) {
	recorded := &recorder{UniversalClient: q.client, pipe: q.client.Pipeline()}
	// A client of its own for each batch: asynq's adds a queue to asynq:queues
	// once in its life, and Redis may have been emptied since.
	client := asynq.NewClientFromRedisClient(recorded)
	for _, t := range tasks {
		if err := enqueueTask(ctx, client, t); err != nil {
			return nil, err
		}
	}
	// Exec's error is the first command's; each is looked at below.
	if _, err := recorded.pipe.Exec(ctx); err != nil && len(recorded.scripts) != len(tasks) {
		return nil, err
	}
	var rest []jobs.Task
	for i, script := range recorded.scripts {
		switch err := script.Err(); {
		case err == nil:
		case redis.HasErrorPrefix(err, "NOSCRIPT"):
			rest = append(rest, tasks[i])
		default:
			return nil, err
		}
	}
	return rest, nil
}

// enqueueTask enqueues through asynq. A task that is there already is no error.
func enqueueTask(ctx context.Context, client *asynq.Client, t jobs.Task) error {
	payload, err := encodeTask(t)
	if err != nil {
		return err
	}
	_, err = client.EnqueueContext(ctx, asynq.NewTask(taskType, payload),
		asynq.TaskID(taskID(t)), asynq.Queue(queueName(t.Provider, t.Priority)),
		asynq.MaxRetry(math.MaxInt32), asynq.Timeout(handlerTimeout), asynq.Retention(0))
	if errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return err
}

// wake tells idle consumers to look. Failing costs them a poll interval. It
// goes after the tasks, not with them: in a cluster a pipeline has no order.
func (q *Queue) wake(ctx context.Context, tasks []jobs.Task) {
	var channels []string
	for _, t := range tasks {
		if channel := wakeChannel(q.client, t.Provider); !slices.Contains(channels, channel) {
			channels = append(channels, channel)
		}
	}
	_, err := q.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for _, channel := range channels {
			pipe.Publish(ctx, channel, "")
		}
		return nil
	})
	if err != nil {
		q.report(fmt.Errorf("wake consumers: %w", err))
	}
}

// recorder is a client that records what asynq's Enqueue sends, so that many
// tasks share a round trip; asynq 0.26 has no batch of its own. To asynq every
// command looks like a success. What Enqueue sends is pinned by a test.
type recorder struct {
	redis.UniversalClient
	pipe redis.Pipeliner
	// scripts holds one command for each task.
	scripts []*redis.Cmd
}

// EvalSha records the script that adds a task.
func (r *recorder) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	r.scripts = append(r.scripts, r.pipe.EvalSha(ctx, sha, keys, args...))
	return redis.NewCmdResult(int64(1), nil)
}

// SAdd records that a queue exists.
func (r *recorder) SAdd(ctx context.Context, key string, members ...any) *redis.IntCmd {
	r.pipe.SAdd(ctx, key, members...)
	return redis.NewIntResult(1, nil)
}
