package lane_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/penstock-dev/penstock/internal/embedredis"
	"github.com/penstock-dev/penstock/internal/testenv"
	"github.com/penstock-dev/penstock/providers/lane"
	"github.com/penstock-dev/penstock/providers/lane/lanetest"
)

var here = lane.Lane{Pool: "sim", Target: "sim/one"}

// rig is a fleet of one on a Redis of its own.
type rig struct {
	t     testing.TB
	redis redis.UniversalClient
	store *lanetest.Store
	lanes *lane.Lanes
}

func newRig(t testing.TB, client redis.UniversalClient, cfg lane.Config) *rig {
	t.Helper()
	g := &rig{t: t, redis: client, store: new(lanetest.Store)}
	g.lanes = g.join(cfg)
	return g
}

// join returns another process of the fleet.
func (g *rig) join(cfg lane.Config) *lane.Lanes {
	g.t.Helper()
	lanes, err := lane.New(g.redis, g.store, cfg)
	if err != nil {
		g.t.Fatalf("New() = %v", err)
	}
	return lanes
}

// inBubble runs check in a bubble, where time costs nothing, on an embedded Redis.
func inBubble(t *testing.T, cfg lane.Config, check func(g *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		server := embedredis.Start()
		defer server.Close()
		check(newRig(t, server.Client(), cfg))
	})
}

// onBoth runs check on an embedded Redis and on a real one.
func onBoth(t *testing.T, cfg lane.Config, check func(g *rig)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		inBubble(t, cfg, check)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		check(newRig(t, redisOf(t), cfg))
	})
}

// redisOf returns a client of a real Redis with a database of t's own.
func redisOf(t testing.TB) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(testenv.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

func newCall(t testing.TB) uuid.UUID {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// ask asks for a new call that the store knows of.
func (g *rig) ask(l lane.Lane) lane.Verdict {
	g.t.Helper()
	return g.askFor(lane.Ask{Lane: l, Call: newCall(g.t)})
}

func (g *rig) askFor(a lane.Ask) lane.Verdict {
	g.t.Helper()
	g.store.Begin(a.Lane, a.Call)
	v, err := g.lanes.Admit(g.t.Context(), a)
	if err != nil {
		g.t.Fatalf("Admit() = %v", err)
	}
	if !v.Admitted {
		g.store.End(a.Call)
		if v.Reason == "" || v.For <= 0 {
			g.t.Fatalf("not admitted, with %+v; want a reason and a wait", v)
		}
	}
	return v
}

// admit asks for a new call and fails the test unless it is admitted.
func (g *rig) admit() lane.Permit {
	g.t.Helper()
	v := g.ask(here)
	if !v.Admitted {
		g.t.Fatalf("got %+v, want a permit", v)
	}
	return v.Permit
}

// refuse asks for a new call and fails the test unless it is refused for the
// reason.
func (g *rig) refuse(want lane.Reason) lane.Verdict {
	g.t.Helper()
	v := g.ask(here)
	if v.Admitted || v.Reason != want {
		g.t.Fatalf("got %+v, want %s", v, want)
	}
	return v
}

func (g *rig) settle(p lane.Permit, r lane.Result) lane.Settled {
	g.t.Helper()
	done, err := g.lanes.Settle(g.t.Context(), p, r)
	if err != nil {
		g.t.Fatalf("Settle() = %v", err)
	}
	g.store.End(p.Call)
	return done
}

func (g *rig) flush() {
	g.t.Helper()
	if err := g.redis.FlushDB(g.t.Context()).Err(); err != nil {
		g.t.Fatal(err)
	}
}

// admitWithin asks for a new call, again and again as it is told, for the given
// time.
func (g *rig) admitWithin(d time.Duration) lane.Permit {
	g.t.Helper()
	return g.admitFor(d, lane.Ask{Lane: here})
}

// admitFor is admitWithin for another lane, or with tokens.
func (g *rig) admitFor(d time.Duration, a lane.Ask) lane.Permit {
	g.t.Helper()
	late := time.Now().Add(d)
	for {
		a.Call = newCall(g.t)
		v := g.askFor(a)
		if v.Admitted {
			return v.Permit
		}
		if time.Now().Add(v.For).After(late) {
			g.t.Fatalf("not admitted within %v: %+v", d, v)
		}
		<-time.After(v.For)
	}
}
