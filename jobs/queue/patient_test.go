package queue

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"
)

// scripted is a Redis that answers every script with err.
type scripted struct {
	redis.UniversalClient

	err error
	// args are those of the last script, and runs counts them.
	args []any
	runs int
}

func (s *scripted) EvalSha(_ context.Context, _ string, _ []string, args ...any) *redis.Cmd {
	s.args, s.runs = args, s.runs+1
	return redis.NewCmdResult(nil, s.err)
}

func (s *scripted) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	return s.EvalSha(ctx, script, keys, args...)
}

// redisError is an answer of a server.
type redisError string

func (e redisError) Error() string { return string(e) }

// RedisError marks it as one.
func (redisError) RedisError() {}

// take asks c for a task of a queue as asynq does, and returns how long that took.
func take(t *testing.T, c *patientClient, queue string) (took time.Duration, err error) {
	t.Helper()
	begun, keys := time.Now(), []string{pendingKey(queue), "paused", "active", "lease"}
	err = c.EvalSha(t.Context(), "sha", keys, time.Now().Add(time.Minute).Unix(), "t:").Err()
	return time.Since(begun), err
}

func patient(t *testing.T, server *scripted) (c *patientClient, stop context.CancelFunc, woken chan<- struct{}) {
	t.Helper()
	q, err := New(server, Config{PollInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	wake := make(chan struct{}, 1)
	return q.patientClient(ctx, "sim", wake), stop, wake
}

// What a consumer waits for after each answer, and for how long.
func TestHowLongALookTakes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, queue string
		err         error
		least, most time.Duration
	}{
		{"a task", "sim:low", nil, 0, 0},
		{"an unknown script, with which asynq follows", "sim:low", redisError("NOSCRIPT no such script"), 0, 0},
		{"an empty queue, and another to look at", "sim:high", redis.Nil, 0, 0},
		{"the last queue is empty", "sim:low", redis.Nil, 30 * time.Minute, 90 * time.Minute},
		{"no Redis", "sim:high", errors.New("connection refused"), errorPause, errorPause},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, stop, _ := patient(t, &scripted{err: test.err})
				defer stop()
				took, err := take(t, c, test.queue)
				if took < test.least || took > test.most || !errors.Is(err, test.err) {
					t.Errorf("took %v and answered %v, want %v to %v and %v", took, err, test.least, test.most, test.err)
				}
			})
		})
	}
}

// A consumer that stops waits for nothing and takes nothing more.
func TestWhoStopsTakesNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]error{"empty": redis.Nil, "away": errors.New("connection refused")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				server := &scripted{err: answer}
				c, stop, _ := patient(t, server)
				time.AfterFunc(time.Millisecond, stop)
				if took, _ := take(t, c, "sim:low"); took != time.Millisecond {
					t.Errorf("the look during which it was stopped took %v, want 1ms", took)
				}
				took, err := take(t, c, "sim:low")
				if took != 0 || !errors.Is(err, redis.Nil) || server.runs != 1 {
					t.Errorf("took %v, answered %v, asked Redis %d times; want nothing found without asking",
						took, err, server.runs-1)
				}
			})
		})
	}
}

func TestAWakeEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, stop, woken := patient(t, &scripted{err: redis.Nil})
		defer stop()
		woken <- struct{}{}
		if took, _ := take(t, c, "sim:low"); took != 0 {
			t.Errorf("took %v although woken, want 0", took)
		}
	})
}

// The lease is shortened whether or not the server knows the script, and never
// prolonged.
func TestLeaseIsShortenedEitherWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := &scripted{}
		c, stop, _ := patient(t, server)
		defer stop()
		keys := []string{pendingKey("sim:low"), "paused", "active", "lease"}
		for lease, want := range map[time.Duration]time.Duration{30 * time.Second: firstLease, time.Second: time.Second} {
			until, wanted := time.Now().Add(lease).Unix(), time.Now().Add(want).Unix()
			c.EvalSha(t.Context(), "sha", keys, until, "t:")
			if server.args[0] != wanted || server.args[1] != "t:" {
				t.Errorf("EvalSha with a lease of %v: got %v, want %d", lease, server.args, wanted)
			}
			c.Eval(t.Context(), "script", keys, until, "t:")
			if server.args[0] != wanted || server.args[1] != "t:" {
				t.Errorf("Eval with a lease of %v: got %v, want %d", lease, server.args, wanted)
			}
		}
		c.EvalSha(t.Context(), "sha", keys[:3], int64(1<<40))
		if server.args[0] != int64(1<<40) {
			t.Errorf("another script got %v, want what it was given", server.args)
		}
	})
}
