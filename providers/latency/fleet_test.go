package latency_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/embedredis"
	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/providers/latency"
)

var target = latency.Target{Pool: "openai", Name: "openai/gpt-5"}

// record records n calls that took from low on, a second more each.
func record(f *latency.Fleet, n int, low time.Duration) {
	for i := range n {
		f.Record(target, latency.Sample{Total: low + time.Duration(i)*time.Second, FirstToken: time.Second})
	}
}

func near(got, want time.Duration) bool {
	return got > want*98/100 && got < want*102/100
}

// merges is what two workers and an API that share a Redis know.
func merges(t *testing.T, client redis.UniversalClient) {
	t.Helper()
	one, other := latency.NewFleet(latency.Config{Redis: client}), latency.NewFleet(latency.Config{Redis: client})
	reader := latency.NewFleet(latency.Config{Redis: client, Pools: []string{target.Pool}})
	record(one, 50, time.Second)
	record(other, 50, 51*time.Second)
	for _, f := range []*latency.Fleet{one, other, reader} {
		if err := f.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for name, f := range map[string]*latency.Fleet{"the second worker": other, "a process without calls": reader} {
		got := f.Summary(target).Total
		if got.Count != 100 || !near(got.P50.Value, 50*time.Second) || !near(got.P95.Value, 95*time.Second) {
			t.Errorf("%s: got %+v, want 100 calls of 1 s to 100 s", name, got)
		}
	}
	if got := one.Summary(target).Total; got.Count != 50 || !near(got.P99.Value, 50*time.Second) {
		t.Errorf("the first worker, which looked too early: got %+v, want its own 50", got)
	}
	for _, key := range client.Keys(t.Context(), "*").Val() {
		if ttl := client.TTL(t.Context(), key).Val(); ttl <= 0 || ttl > 10*time.Minute || !strings.Contains(key, "{openai}") {
			t.Errorf("key %s expires in %s", key, ttl)
		}
	}
}

func TestMergesOnEmbeddedRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := embedredis.Start()
		defer server.Close()
		merges(t, server.Client())
	})
}

func TestMergesOnRedis(t *testing.T) {
	t.Parallel()
	options, err := redis.ParseURL(testenv.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	merges(t, client)
}

// While Run runs, what one worker observes the other knows within seconds, each
// call once, and forgets when the window has passed.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := embedredis.Start()
		defer server.Close()
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		one := latency.NewFleet(latency.Config{Redis: server.Client()})
		other := latency.NewFleet(latency.Config{Redis: server.Client(), Pools: []string{target.Pool}})
		running.Go(func() { _ = one.Run(ctx) })
		running.Go(func() { _ = other.Run(ctx) })
		for range 120 { // a call each second
			record(one, 1, time.Second)
			record(other, 1, 9*time.Second)
			time.Sleep(time.Second)
		}
		time.Sleep(5 * time.Second)
		for _, f := range []*latency.Fleet{one, other} {
			if got := f.Summary(target).Total; got.Count < 230 || got.Count > 240 || !near(got.P99.Value, 9*time.Second) {
				t.Errorf("got %+v, want 240 calls, of which the last seconds' may be missing", got)
			}
		}
		time.Sleep(latency.Window + time.Minute)
		for _, f := range []*latency.Fleet{one, other} {
			if got := f.Summary(target); got.Total.Count != 0 {
				t.Errorf("after the window: got %+v", got.Total)
			}
		}
		time.Sleep(2 * time.Minute)
		if keys := server.Client().Keys(ctx, "*").Val(); len(keys) != 0 {
			t.Errorf("keys are left: %v", keys)
		}
	})
}

// cutoff is a hook that fails every command while it is set.
type cutoff struct{ atomic.Bool }

func (c *cutoff) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (c *cutoff) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (c *cutoff) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if c.Load() {
			return context.DeadlineExceeded
		}
		return next(ctx, cmds)
	}
}

// Without Redis a process knows its own calls, says once that it knows no more,
// and tells the others later.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := embedredis.Start()
		defer server.Close()
		away := new(cutoff)
		away.Store(true)
		server.Client().AddHook(away)
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		defer running.Wait()
		defer stop()
		var reports atomic.Int64
		one := latency.NewFleet(latency.Config{Redis: server.Client(), Report: func(error) { reports.Add(1) }})
		running.Go(func() { _ = one.Run(ctx) })
		record(one, 60, time.Second)
		time.Sleep(time.Minute)
		if got := one.Summary(target).Total; got.Count != 60 {
			t.Errorf("got %+v, want 60 calls", got)
		}
		if n := reports.Load(); n != 1 {
			t.Errorf("%d reports, want 1", n)
		}
		away.Store(false)
		time.Sleep(10 * time.Second)
		reader := latency.NewFleet(latency.Config{Redis: server.Client(), Pools: []string{target.Pool}})
		if err := reader.Refresh(ctx); err != nil {
			t.Fatal(err)
		}
		if got := reader.Summary(target).Total; got.Count != 60 {
			t.Errorf("another process: got %+v, want 60 calls", got)
		}
	})
}

// An emptied Redis costs the numbers of others, and nobody their own.
func TestEmptiedRedis(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := embedredis.Start()
		defer server.Close()
		one := latency.NewFleet(latency.Config{Redis: server.Client()})
		record(one, 60, time.Second)
		if err := one.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		server.Client().FlushAll(t.Context())
		time.Sleep(10 * time.Second)
		if err := one.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := one.Summary(target).Total; got.Count != 60 {
			t.Errorf("got %+v, want 60 calls", got)
		}
	})
}

// Whatever the models are called, no more than a bounded number is kept, here
// and in Redis.
func TestTargetsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := embedredis.Start()
		defer server.Close()
		one := latency.NewFleet(latency.Config{Redis: server.Client()})
		for i := range 2000 {
			name := latency.Target{Pool: "p", Name: fmt.Sprintf("p/%d", i)}
			one.Record(name, latency.Sample{Total: time.Second})
			one.Summary(name)
		}
		if err := one.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		var size int64
		for _, key := range server.Client().Keys(t.Context(), "*").Val() {
			for _, v := range server.Client().HGetAll(t.Context(), key).Val() {
				size += int64(len(v))
			}
		}
		if size == 0 || size > 128*100 {
			t.Errorf("%d bytes in Redis, want 128 targets of some 30", size)
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		server := embedredis.Start()
		defer server.Close()
		one := latency.NewFleet(latency.Config{Redis: server.Client()})
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 200 {
					record(one, 1, time.Second)
					one.Summary(target)
					_ = one.Refresh(t.Context())
				}
			})
		}
		all.Wait()
		time.Sleep(2 * time.Second)
		if got := one.Summary(target).Total; got.Count != 1600 {
			t.Errorf("got %+v, want 1600 calls", got)
		}
	})
}

func Example() {
	fleet := latency.NewFleet(latency.Config{})
	for i := range 100 {
		fleet.Record(target, latency.Sample{Total: time.Duration(i+1) * time.Second, FirstToken: time.Second})
	}
	fleet.Record(target, latency.Sample{Total: 30 * time.Second, Cut: true})
	total := fleet.Summary(target).Total
	fmt.Println(total.Count, total.Cut, total.P50.Value.Round(time.Second))
	// Output: 101 1 51s
}
