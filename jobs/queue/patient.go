package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/jobs"
)

const (
	// firstLease is how long a task may be with a worker that has not sent a
	// heartbeat since it took it. asynq sends one every 5 s, which makes the
	// lease 30 s from then on.
	firstLease = 10 * time.Second
	// errorPause is the pause after a look that failed, so that a Redis that is
	// away costs neither a core nor a second of delay when it is back.
	errorPause = 100 * time.Millisecond
)

// patientClient is the client an asynq server is given. asynq takes a task by
// running a script on one queue after another, and sleeps when all were empty.
// The client does two things to that script.
//
// It waits before it answers that the last queue is empty, until someone
// enqueues or the poll interval is over: asynq's own sleep cannot be
// interrupted.
//
// It takes nothing any more once the consumer is stopping: asynq would until it
// is told, and then give the task back for others to find seconds later.
//
// It shortens the first lease: a worker that dies between taking a task and
// claiming it in the store is found out within firstLease.
//
// How asynq runs the script is pinned by a test.
type patientClient struct {
	redis.UniversalClient
	// pending holds the pending keys of the queues; last is the one asked last.
	pending map[string]bool
	last    string
	poll    time.Duration
	woken   <-chan struct{}
	// stopping ends all waiting.
	stopping <-chan struct{}
}

func (q *Queue) patientClient(ctx context.Context, provider string, woken <-chan struct{}) *patientClient {
	c := &patientClient{
		UniversalClient: q.client, pending: make(map[string]bool),
		poll: q.poll, woken: woken, stopping: ctx.Done(),
	}
	for _, priority := range jobs.Priorities() {
		c.last = pendingKey(queueName(provider, priority))
		c.pending[c.last] = true
	}
	return c
}

// EvalSha runs a script that the server knows.
func (c *patientClient) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if !c.takesTask(keys) {
		return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	}
	if c.stopped() {
		return redis.NewCmdResult(nil, redis.Nil)
	}
	cmd := c.UniversalClient.EvalSha(ctx, sha, keys, shortenLease(args)...)
	c.wait(keys[0], cmd.Err())
	return cmd
}

// Eval runs a script that the server may not know yet.
func (c *patientClient) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	if !c.takesTask(keys) {
		return c.UniversalClient.Eval(ctx, script, keys, args...)
	}
	cmd := c.UniversalClient.Eval(ctx, script, keys, shortenLease(args)...)
	c.wait(keys[0], cmd.Err())
	return cmd
}

func (c *patientClient) stopped() bool {
	select {
	case <-c.stopping:
		return true
	default:
		return false
	}
}

// takesTask reports whether the script with these keys is the one that moves a
// task from pending to active: asynq has no other with pending first and four
// keys.
func (c *patientClient) takesTask(keys []string) bool {
	return len(keys) == 4 && c.pending[keys[0]]
}

// shortenLease changes the script's first argument, the Unix second at which
// the lease ends.
func shortenLease(args []any) []any {
	if len(args) == 0 {
		return args
	}
	until, ok := args[0].(int64)
	if !ok {
		return args
	}
	short := append([]any{}, args...)
	short[0] = min(until, time.Now().Add(firstLease).Unix())
	return short
}

func (c *patientClient) wait(queue string, err error) {
	switch {
	case err == nil, redis.HasErrorPrefix(err, "NOSCRIPT"): // asynq follows with Eval
	case !errors.Is(err, redis.Nil):
		c.sleep(errorPause, nil)
	case queue == c.last:
		// Spread, so that a fleet does not look all at once.
		c.sleep(c.poll/2+rand.N(c.poll), c.woken) //nolint:gosec // hides nothing
	}
}

func (c *patientClient) sleep(d time.Duration, woken <-chan struct{}) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-woken:
	case <-c.stopping:
	}
}
