package lane_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

// storm empties Redis every few milliseconds while work runs.
func (g *rig) storm(work func()) {
	g.t.Helper()
	stop := make(chan struct{})
	var flushing sync.WaitGroup
	flushing.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				g.redis.FlushDB(g.t.Context())
			}
		}
	})
	work()
	close(stop)
	flushing.Wait()
}

// mostAsks is how often each process asks in a storm until enough was admitted: on a slow
// machine Redis is empty most of the time.
const mostAsks = 3000

// TestInvariant6NoCallBeforeAHint: eight processes call and are told to wait, while
// Redis is emptied again and again. From when a hint is recorded until its time,
// nobody is admitted.
func TestInvariant6NoCallBeforeAHint(t *testing.T) {
	t.Parallel()
	onBoth(t, lane.Config{}, func(g *rig) {
		var calls, hints, early atomic.Int64
		var mu sync.Mutex
		var shut time.Time // until when the recorded hints shut the gate
		worker := func(lanes *lane.Lanes, n int) {
			for i := 0; i < mostAsks && (i < 80 || hints.Load() < 5 || calls.Load() < 10); i++ {
				a := lane.Ask{Lane: here, Call: newCall(g.t)}
				g.store.Begin(here, a.Call)
				mu.Lock()
				until := shut // what is recorded from here on is not known to whoever asks
				mu.Unlock()
				v, err := lanes.Admit(g.t.Context(), a)
				switch {
				case err != nil:
					g.t.Errorf("Admit() = %v", err)
				case v.Admitted && time.Now().Before(until):
					early.Add(1)
				}
				if v.Admitted {
					calls.Add(1)
					r := good
					if (i+n)%5 == 0 {
						hints.Add(1)
						r = lane.Result{Class: providers.RateLimited, Hint: 12 * time.Millisecond}
					}
					begun := time.Now()
					if _, err := lanes.Settle(g.t.Context(), v.Permit, r); err != nil {
						g.t.Errorf("Settle() = %v", err)
					}
					mu.Lock()
					if until := begun.Add(r.Hint); r.Hint > 0 && until.After(shut) {
						shut = until
					}
					mu.Unlock()
				}
				g.store.End(a.Call)
				<-time.After(2 * time.Millisecond)
			}
		}
		g.storm(func() {
			var all sync.WaitGroup
			for n := range 8 {
				lanes := g.join(lane.Config{})
				all.Go(func() { worker(lanes, n) })
			}
			all.Wait()
		})
		if early.Load() != 0 || hints.Load() < 5 || calls.Load() < 10 {
			g.t.Errorf("%d of %d calls were earlier than one of %d hints allowed, want none", early.Load(), calls.Load(), hints.Load())
		}
	})
}

// TestConcurrencyThroughLoss: the calls that are under way when Redis is emptied
// count all the same.
func TestConcurrencyThroughLoss(t *testing.T) {
	t.Parallel()
	cfg := limited(lane.Limits{Concurrency: 3})
	onBoth(t, cfg, func(g *rig) {
		var running, most, calls atomic.Int64
		g.storm(func() {
			var all sync.WaitGroup
			for range 8 {
				lanes := g.join(cfg)
				all.Go(func() {
					for i := 0; i < mostAsks && (i < 30 || calls.Load() < 20); i++ {
						a := lane.Ask{Lane: here, Call: newCall(g.t)}
						g.store.Begin(here, a.Call)
						v, err := lanes.Admit(g.t.Context(), a)
						if err != nil {
							g.t.Errorf("Admit() = %v", err)
						}
						if v.Admitted {
							calls.Add(1)
							storeMax(&most, running.Add(1))
							<-time.After(8 * time.Millisecond)
							running.Add(-1)
							if _, err := lanes.Settle(g.t.Context(), v.Permit, good); err != nil {
								g.t.Errorf("Settle() = %v", err)
							}
						}
						g.store.End(a.Call)
						<-time.After(2 * time.Millisecond)
					}
				})
			}
			all.Wait()
		})
		if most.Load() > 3 || calls.Load() < 20 {
			g.t.Errorf("%d calls, at most %d at once; want at most 3", calls.Load(), most.Load())
		}
	})
}

func TestPermitsOfTheDeadLapse(t *testing.T) {
	t.Parallel()
	inBubble(t, limited(lane.Limits{Concurrency: 2}), func(g *rig) {
		alive, dead := g.admit(), g.admit()
		for range 5 {
			g.renew(alive)
			g.refuse(lane.Capacity)
			time.Sleep(5900 * time.Millisecond)
		}
		g.renew(alive)
		time.Sleep(time.Second)
		g.admit()
		g.refuse(lane.Capacity)
		if done := g.settle(dead, good); done.Now {
			g.t.Errorf("got %+v, want a permit that has lapsed", done)
		}
		g.refuse(lane.Capacity)
	})
}

func (g *rig) renew(permits ...lane.Permit) {
	g.t.Helper()
	if err := g.lanes.Renew(g.t.Context(), permits); err != nil {
		g.t.Fatalf("Renew() = %v", err)
	}
}

// TestRenewalBringsPermitsBack: also when the store does not know of the call.
func TestRenewalBringsPermitsBack(t *testing.T) {
	t.Parallel()
	onBoth(t, limited(lane.Limits{Concurrency: 1}), func(g *rig) {
		p := g.admit()
		g.store.End(p.Call)
		g.flush()
		g.redis.ScriptFlush(g.t.Context())
		g.renew(p)
		g.refuse(lane.Capacity)
		if done := g.settle(p, good); !done.Now {
			g.t.Errorf("got %+v, want it settled", done)
		}
		g.admit()
	})
}

var errAway = errors.New("the store is away")

func TestNothingIsAdmittedThatCannotBeRebuilt(t *testing.T) {
	t.Parallel()
	onBoth(t, lane.Config{}, func(g *rig) {
		g.admit()
		g.store.Fail = func(context.Context, string) error { return errAway }
		g.admit() // Redis has all of it
		g.flush()
		v, err := g.lanes.Admit(g.t.Context(), lane.Ask{Lane: here, Call: newCall(g.t)})
		if !errors.Is(err, errAway) || v.Admitted {
			g.t.Errorf("got %+v, %v; want nothing and why", v, err)
		}
		rooms, err := g.lanes.Room(g.t.Context(), time.Second, here)
		if !errors.Is(err, errAway) || len(rooms) != 1 || rooms[0].Reason != lane.Rebuilding {
			g.t.Errorf("got %+v, %v; want that it is being rebuilt, and why", rooms, err)
		}
		g.store.Fail = nil
		g.admit()
	})
}

func TestNothingIsAdmittedWithoutRedis(t *testing.T) {
	t.Parallel()
	server := testenv.RedisServer(t)
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer client.Close()
	g := newRig(t, client, lane.Config{})
	g.settle(g.admit(), lane.Result{Class: providers.RateLimited, Hint: time.Hour})
	p := lane.Permit{Lane: lane.Lane{Pool: "other", Target: "other/m"}, Call: newCall(g.t)}
	server.Kill()
	if v, err := g.lanes.Admit(g.t.Context(), lane.Ask{Lane: here, Call: newCall(g.t)}); err == nil || v.Admitted {
		g.t.Errorf("got %+v, %v; want nothing and why", v, err)
	}
	// A hint that comes now is kept all the same.
	if _, err := g.lanes.Settle(g.t.Context(), p, lane.Result{Class: providers.RateLimited, Hint: time.Hour}); err == nil {
		g.t.Error("Settle() without Redis succeeded")
	}
	server.Restart()
	g.refuse(lane.RateLimit)
	if v := g.ask(p.Lane); v.Reason != lane.RateLimit {
		g.t.Errorf("got %+v, want the gate shut", v)
	}
}

// TestASlowStoreHoldsUpOnlyWhatMustBeRebuilt: lanes that Redis has are admitted to
// meanwhile.
func TestASlowStoreHoldsUpOnlyWhatMustBeRebuilt(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		g.admit()
		g.store.Fail = func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		}
		begun := time.Now()
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() {
				_, err := g.lanes.Admit(g.t.Context(), lane.Ask{Lane: lane.Lane{Pool: "other", Target: "other/m"}, Call: newCall(g.t)})
				if d := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || d > 10*time.Second {
					g.t.Errorf("got %v after %v, want a deadline exceeded soon", err, d)
				}
			})
		}
		time.Sleep(time.Second)
		g.admit()
		if d := time.Since(begun); d > time.Second {
			g.t.Errorf("it took %v, want no wait", d-time.Second)
		}
		waiting.Wait()
	})
}

// TestWhatIsKeptInRedisIsBounded: every key of a pool has its tag, and goes when
// nobody uses it.
func TestWhatIsKeptInRedisIsBounded(t *testing.T) {
	t.Parallel()
	onBoth(t, limited(lane.Limits{RequestsPerMinute: 1e9, Concurrency: 1000}), func(g *rig) {
		p := g.admit()
		g.renew(p, g.admit())
		g.settle(g.admit(), lane.Result{
			Class: providers.RateLimited, Hint: 24 * time.Hour,
			Quota: providers.Quota{Requests: providers.QuotaLimit{Limit: 10}},
		})
		g.settle(p, good)
		keys := g.redis.Keys(g.t.Context(), "*").Val()
		if len(keys) < 6 {
			g.t.Errorf("keys %q, want at least six", keys)
		}
		for _, key := range keys {
			ttl := g.redis.TTL(g.t.Context(), key).Val()
			if !strings.HasPrefix(key, "penstock:lane:{sim}:") || ttl <= 0 || ttl > time.Hour {
				g.t.Errorf("key %q lives %v more, want the pool's tag and at most an hour", key, ttl)
			}
		}
	})
}

// TestRoundTrips: two for a call that is admitted and settled.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	onBoth(t, limited(lane.Limits{RequestsPerMinute: 1e9, Concurrency: 10}), func(g *rig) {
		g.settle(g.admit(), good) // Redis learns the scripts
		trips := new(trips)
		g.redis.AddHook(trips)
		g.settle(g.admit(), lane.Result{Usage: providers.Usage{Known: true, OutputTokens: 7}})
		if n := trips.n.Swap(0); n != 2 {
			g.t.Errorf("%d round trips, want 2", n)
		}
		if _, err := g.lanes.Room(g.t.Context(), time.Second, here); err != nil {
			g.t.Fatal(err)
		}
	})
}

// trips counts round trips.
type trips struct{ n atomic.Int64 }

func (t *trips) DialHook(next redis.DialHook) redis.DialHook { return next }

func (t *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		t.n.Add(1)
		return next(ctx, cmd)
	}
}

func (t *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		t.n.Add(1)
		return next(ctx, cmds)
	}
}
