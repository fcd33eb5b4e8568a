package queue_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/queue"
)

// The states a task can be found in, made from a pending one as asynq or an
// accident would.
func TestMissingByState(t *testing.T) {
	t.Parallel()
	const prefix = "asynq:{sim:normal}:"
	in := func(d time.Duration) float64 { return float64(time.Now().Add(d).Unix()) }
	// move takes the id out of the pending list and sets the state.
	move := func(ctx context.Context, r redis.UniversalClient, id, state string) {
		r.LRem(ctx, prefix+"pending", 0, id)
		r.HSet(ctx, prefix+"t:"+id, "state", state)
	}
	activate := func(ctx context.Context, r redis.UniversalClient, id string, lease time.Duration) {
		move(ctx, r, id, "active")
		r.LPush(ctx, prefix+"active", id)
		r.ZAdd(ctx, prefix+"lease", redis.Z{Score: in(lease), Member: id})
	}
	set := func(state string) func(context.Context, redis.UniversalClient, string) {
		return func(ctx context.Context, r redis.UniversalClient, id string) {
			move(ctx, r, id, state)
			r.ZAdd(ctx, prefix+state, redis.Z{Score: in(time.Hour), Member: id})
		}
	}
	bare := func(state string) func(context.Context, redis.UniversalClient, string) {
		return func(ctx context.Context, r redis.UniversalClient, id string) { move(ctx, r, id, state) }
	}
	for _, test := range []struct {
		name    string
		arrange func(ctx context.Context, r redis.UniversalClient, id string)
		missing bool
	}{
		{"pending", func(context.Context, redis.UniversalClient, string) {}, false},
		{"pending, in no list", bare("pending"), true},
		{"pending, hash gone", func(ctx context.Context, r redis.UniversalClient, id string) {
			r.Del(ctx, prefix+"t:"+id)
		}, true},
		{"pending, message gone", func(ctx context.Context, r redis.UniversalClient, id string) {
			r.HDel(ctx, prefix+"t:"+id, "msg")
		}, true},
		{"active", func(ctx context.Context, r redis.UniversalClient, id string) {
			activate(ctx, r, id, 5*time.Second)
		}, false},
		{"active, lease over", func(ctx context.Context, r redis.UniversalClient, id string) {
			activate(ctx, r, id, -time.Second)
		}, true},
		{"active, no lease", func(ctx context.Context, r redis.UniversalClient, id string) {
			activate(ctx, r, id, time.Minute)
			r.Del(ctx, prefix+"lease")
		}, true},
		{"active, in no list", func(ctx context.Context, r redis.UniversalClient, id string) {
			activate(ctx, r, id, time.Minute)
			r.Del(ctx, prefix+"active")
		}, true},
		{"scheduled", set("scheduled"), false},
		{"scheduled, in no set", bare("scheduled"), true},
		{"retry", set("retry"), false},
		{"retry, in no set", bare("retry"), true},
		{"archived", set("archived"), true},
		{"completed", set("completed"), true},
		{"a state of a later asynq", bare("other"), true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			client := connect(t, testenv.Redis(t))
			q := newQueue(t, client, queue.Config{})
			subject, other := task(), task()
			if err := q.Enqueue(t.Context(), []jobs.Task{subject, other}); err != nil {
				t.Fatal(err)
			}
			test.arrange(t.Context(), client, subject.Execution.String()+":1")
			missing, err := q.Missing(t.Context(), []jobs.Task{other, subject})
			if err != nil {
				t.Fatal(err)
			}
			if want := []jobs.Task{subject}; test.missing && !slices.Equal(missing, want) || !test.missing && len(missing) > 0 {
				t.Errorf("missing are %v, want the task: %v", missing, test.missing)
			}
			if test.missing {
				assertGone(t, client, subject)
			}
		})
	}
}

// assertGone fails t if anything in Redis still speaks of the task.
func assertGone(t *testing.T, client redis.UniversalClient, task jobs.Task) {
	t.Helper()
	ctx, id := t.Context(), task.Execution.String()
	for _, key := range keysOf(t, client) {
		var members []string
		switch kind := client.Type(ctx, key).Val(); kind {
		case "list":
			members = client.LRange(ctx, key, 0, -1).Val()
		case "zset":
			members = client.ZRange(ctx, key, 0, -1).Val()
		}
		if strings.Contains(key+strings.Join(members, " "), id) {
			t.Errorf("%s is left in %s %v", id, key, members)
		}
	}
}

// A worker that fell silent between taking a task and claiming it is found out
// when the first lease ends, not after asynq's 30 s and more.
func TestMissingFindsTaskOfSilentWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client := embedded(t)
		link := linked(client)
		q := newQueue(t, client, queue.Config{})
		taken, started, release := task(), make(chan struct{}), make(chan struct{})
		consume(t, q, 1, func(context.Context, jobs.Task) {
			close(started)
			<-release
		})
		if err := q.Enqueue(t.Context(), []jobs.Task{taken}); err != nil {
			t.Fatal(err)
		}
		receive(t, started, patience, "the task")
		for _, step := range []struct {
			after   time.Duration
			missing int
		}{{8 * time.Second, 0}, {3 * time.Second, 1}} {
			// No heartbeat gets through, and none comes in the moment of the look.
			link.cut.Store(true)
			time.Sleep(step.after)
			link.cut.Store(false)
			missing, err := q.Missing(t.Context(), []jobs.Task{taken})
			if err != nil || len(missing) != step.missing {
				t.Errorf("%v later Missing() = %v, %v, want %d tasks", step.after, missing, err, step.missing)
			}
		}
		close(release)
	})
}

func TestMissingAcrossQueuesAndChunks(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	q := newQueue(t, client, queue.Config{})
	all := tasks(1500)
	for i := range all {
		all[i].Priority = jobs.Priorities()[i%3]
		all[i].Provider = []string{"sim", "other"}[i%2]
	}
	half := all[:750]
	if err := q.Enqueue(t.Context(), half); err != nil {
		t.Fatal(err)
	}
	missing, err := q.Missing(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	want := make(map[jobs.Task]bool)
	for _, task := range all[750:] {
		want[task] = true
	}
	for _, task := range missing {
		if !want[task] {
			t.Errorf("%v is said to be missing, or was said so twice", task)
		}
		delete(want, task)
	}
	if len(want) > 0 {
		t.Errorf("%d missing tasks were not found", len(want))
	}
}

func TestMissingWithoutRedis(t *testing.T) {
	t.Parallel()
	client := connect(t, testenv.Redis(t))
	link := linked(client)
	q := newQueue(t, client, queue.Config{})
	link.cut.Store(true)
	if missing, err := q.Missing(t.Context(), tasks(2)); err == nil {
		t.Errorf("Missing() = %v without an error: nothing is known", missing)
	}
}
