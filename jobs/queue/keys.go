package queue

import (
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/jobs"
)

// asynq gives every queue a hash tag of its own, asynq:{<queue>}:…, so that
// all keys of one script are in one slot of a Redis Cluster. This layout is
// asynq's (v0.26.0, internal/base/base.go); layout_test.go says when it moves.
//
// No key here has a TTL: a task's keys go when its handler returns, when the
// reconciler has asked for it, or when asynq's recoverer has brought it back.

// queueName returns the asynq queue for tasks of one provider and priority.
func queueName(provider string, priority jobs.Priority) string {
	return provider + ":" + priority.String()
}

func queueKey(queue, part string) string { return "asynq:{" + queue + "}:" + part }

// pendingKey is a list of task ids; workers take from its right end.
func pendingKey(queue string) string { return queueKey(queue, "pending") }

// activeKey is a list of the ids of tasks that a worker has taken.
func activeKey(queue string) string { return queueKey(queue, "active") }

// leaseKey is a sorted set of the ids in the active list by the Unix second
// their lease ends.
func leaseKey(queue string) string { return queueKey(queue, "lease") }

// taskKey is a hash with at least the fields msg and state.
func taskKey(queue, id string) string { return queueKey(queue, "t:"+id) }

// listKeys are the keys of one queue that missingScript looks through.
func listKeys(queue string) []string {
	return []string{
		pendingKey(queue), activeKey(queue), leaseKey(queue),
		queueKey(queue, "scheduled"), queueKey(queue, "retry"),
		queueKey(queue, "archived"), queueKey(queue, "completed"),
	}
}

// taskID names a task in asynq. One release of an execution is one task.
func taskID(t jobs.Task) string {
	return t.Execution.String() + ":" + strconv.FormatInt(t.Fence, 10)
}

// Channels are shared by all databases of a Redis server; the number keeps
// installations apart that share one.

// wakeChannel tells the consumers of a provider that tasks are there.
func wakeChannel(client redis.UniversalClient, provider string) string {
	return "penstock:" + database(client) + ":wake:" + provider
}

// signalChannel carries the signals of one kind.
func signalChannel(client redis.UniversalClient, kind jobs.SignalKind) string {
	return "penstock:" + database(client) + ":signal:" + string(kind)
}

// database returns the number of the database that client uses; a cluster has
// only one.
func database(client redis.UniversalClient) string {
	if single, ok := client.(*redis.Client); ok {
		return strconv.Itoa(single.Options().DB)
	}
	return "0"
}
