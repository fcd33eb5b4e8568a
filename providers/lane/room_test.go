package lane_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

func (g *rig) room(horizon time.Duration, l lane.Lane) lane.Room {
	g.t.Helper()
	rooms, err := g.lanes.Room(g.t.Context(), horizon, l)
	if err != nil || len(rooms) != 1 {
		g.t.Fatalf("Room() = %+v, %v; want one", rooms, err)
	}
	return rooms[0]
}

// TestRoomIsWhatIsAdmitted: neither more nor less.
func TestRoomIsWhatIsAdmitted(t *testing.T) {
	t.Parallel()
	for _, limits := range []lane.Limits{{RequestsPerMinute: 300}, {RequestsPerMinute: 7}, {RequestsPerMinute: 60, Concurrency: 3}} {
		t.Run(fmt.Sprint(limits), func(t *testing.T) {
			t.Parallel()
			inBubble(t, limited(limits), func(g *rig) {
				for range 3 {
					const horizon = 5 * time.Second
					room := g.room(horizon, here)
					want := min(room.Requests, room.Slots)
					end := time.Now().Add(horizon)
					var got int64
					for v := g.ask(here); time.Now().Add(v.For).Compare(end) <= 0; v = g.ask(here) {
						if v.Admitted {
							got++
						}
						time.Sleep(v.For)
						if v.Reason == lane.Capacity {
							break
						}
					}
					if got != want {
						g.t.Errorf("%d admitted, room was %+v", got, room)
					}
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

// TestRoomTellsWhatIsUnderWay: in the lane, and in its pool.
func TestRoomTellsWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	onBoth(t, limited(lane.Limits{}), func(g *rig) {
		g.ask(lane.Lane{Pool: here.Pool, Target: "sim/two"})
		for range 2 {
			g.ask(here)
		}
		if r := g.room(time.Second, here); r.InLane != 2 || r.InPool != 3 {
			g.t.Errorf("room %+v, want 2 calls in the lane and 3 in its pool", r)
		}
	})
}

func TestRoomOfMany(t *testing.T) {
	t.Parallel()
	onBoth(t, limited(lane.Limits{RequestsPerMinute: 60, OutputTokensPerMinute: 600, Concurrency: 9}), func(g *rig) {
		lanes := []lane.Lane{{Pool: "other", Target: "other/m"}, here, {Pool: "third", Target: "third/m"}, {Pool: here.Pool, Target: "sim/two"}}
		for _, l := range lanes {
			g.ask(l)
		}
		trips := new(trips)
		if _, err := g.lanes.Room(g.t.Context(), 0, lanes...); err != nil { // Redis learns the script
			g.t.Fatal(err)
		}
		g.redis.AddHook(trips)
		rooms, err := g.lanes.Room(g.t.Context(), 10*time.Second, lanes...)
		if err != nil || len(rooms) != 4 || trips.n.Load() != 1 {
			g.t.Fatalf("Room() = %+v, %v in %d round trips, want four in one", rooms, err, trips.n.Load())
		}
		for i, r := range rooms {
			if r.Lane != lanes[i] || r.Reason != "" || r.For != 0 {
				g.t.Errorf("room %d is %+v, want an open one of %v", i, r, lanes[i])
			}
			bounded := r.Pool == here.Pool
			if bounded && (r.Requests < 7 || r.Requests > 12 || r.Output < 90 || r.Output > 111 || r.Input != lane.Unbounded || r.Slots > 9) {
				g.t.Errorf("room %+v, want that of the limits", r)
			}
			if !bounded && (r.Requests != lane.Unbounded || r.Output != lane.Unbounded || r.Slots != lane.Unbounded) {
				g.t.Errorf("room %+v, want no bounds", r)
			}
		}
	})
}

func TestRoomSaysWhyThereIsNone(t *testing.T) {
	t.Parallel()
	onBoth(t, lane.Config{FirstOpening: 500 * time.Millisecond}, func(g *rig) {
		expect := func(want lane.Reason, most time.Duration) { // zero: nobody can know
			g.t.Helper()
			if r := g.room(time.Second, here); r.Reason != want || r.For <= 0 && most > 0 || r.For > most {
				g.t.Errorf("got %+v, want %s for up to %v", r, want, most)
			}
		}
		g.opened()
		expect(lane.Breaker, 500*time.Millisecond)
		r := g.room(time.Second, here)
		for begun := time.Now(); r.Reason == lane.Breaker && time.Since(begun) < time.Minute; r = g.room(time.Second, here) {
			<-time.After(r.For)
		}
		if r.Reason != "" || r.Slots != 1 {
			g.t.Errorf("half open: got %+v, want a slot", r)
		}
		if s := g.states(here)[0]; !s.Untried || s.Probing {
			g.t.Errorf("half open: got %+v, want one that nobody has tried", s)
		}
		p := g.probe()
		expect(lane.Breaker, 0)
		if s := g.states(here)[0]; !s.Probing || s.Openings != 1 {
			g.t.Errorf("got %+v, want a probe of the first opening", s)
		}
		g.settle(p, good)
		if r := g.room(time.Second, here); r.Reason != "" || r.Slots != 2 {
			g.t.Errorf("after the probe: got %+v, want two slots", r)
		}
		if s := g.states(here)[0]; s.Untried || !s.Recovering {
			g.t.Errorf("after the probe: got %+v, want one that recovers", s)
		}
		g.must(g.lanes.Pause(g.t.Context(), here))
		expect(lane.Paused, 0)
		g.must(g.lanes.Drain(g.t.Context(), here))
		expect(lane.Drained, 0)
		g.must(g.lanes.Resume(g.t.Context(), here))
		g.settle(g.admit(), lane.Result{Class: providers.RateLimited, Hint: time.Minute})
		expect(lane.RateLimit, time.Minute+time.Millisecond)
	})
}

func (g *rig) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

func TestOperatorsHold(t *testing.T) {
	t.Parallel()
	onBoth(t, lane.Config{}, func(g *rig) {
		pool, two := lane.Lane{Pool: here.Pool}, lane.Lane{Pool: here.Pool, Target: "sim/two"}
		other := g.join(lane.Config{})
		g.admit()
		g.must(other.Pause(g.t.Context(), here))
		for _, lose := range []func(){func() {}, g.flush} {
			lose()
			g.refuse(lane.Paused)
			if v := g.ask(two); !v.Admitted {
				g.t.Errorf("another lane: got %+v, want a permit", v)
			}
		}
		g.must(other.Drain(g.t.Context(), pool))
		for _, lose := range []func(){func() {}, g.flush} {
			lose()
			if v := g.ask(two); v.Reason != lane.Drained {
				g.t.Errorf("another lane: got %+v, want drained", v)
			}
		}
		g.must(other.Resume(g.t.Context(), pool))
		g.refuse(lane.Paused)
		g.must(other.Resume(g.t.Context(), here))
		g.admit()
	})
}

func TestOperatorsLimits(t *testing.T) {
	t.Parallel()
	onBoth(t, limited(lane.Limits{Concurrency: 1}), func(g *rig) {
		first := g.admit()
		g.refuse(lane.Capacity)
		g.must(g.lanes.SetLimits(g.t.Context(), here.Pool, &lane.Limits{Concurrency: 2}))
		for _, lose := range []func(){func() {}, g.flush} {
			lose()
			second := g.admit()
			g.refuse(lane.Capacity)
			g.settle(second, good)
		}
		if s := g.states(here)[0]; s.Limits.Concurrency != 2 || !s.ByOperator || s.InPool != 1 || s.LastMinute.Good < 1 {
			g.t.Errorf("got %+v, want the operator's limits and what was sent", s)
		}
		g.must(g.lanes.SetLimits(g.t.Context(), here.Pool, nil))
		g.refuse(lane.Capacity)
		g.settle(first, good)
		g.must(g.lanes.Configure(map[string]lane.Limits{here.Pool: {Concurrency: 3}}, nil))
		for range 3 {
			g.admit()
		}
		g.refuse(lane.Capacity)
	})
}

func TestNonsenseIsRefused(t *testing.T) {
	t.Parallel()
	inBubble(t, lane.Config{}, func(g *rig) {
		negative := lane.Limits{RequestsPerMinute: -1}
		for what, err := range map[string]error{
			"limits":        g.lanes.SetLimits(g.t.Context(), here.Pool, &negative),
			"configuration": g.lanes.Configure(map[string]lane.Limits{here.Pool: negative}, nil),
		} {
			if err == nil {
				g.t.Errorf("%s of %+v: got no error", what, negative)
			}
		}
		for _, cfg := range []lane.Config{
			{Burst: -1},
			{Burst: time.Hour},
			{Lease: time.Microsecond},
			{FirstOpening: time.Minute, LongestOpening: time.Second},
			limited(negative),
		} {
			if _, err := lane.New(g.redis, g.store, cfg); err == nil {
				g.t.Errorf("New(%+v) succeeded", cfg)
			}
		}
		for _, a := range []lane.Ask{{}, {Lane: here, Input: -1}, {Lane: here, Output: 1e18}} {
			if v, err := g.lanes.Admit(g.t.Context(), a); err == nil || v.Admitted {
				g.t.Errorf("Admit(%+v) = %+v, want an error", a, v)
			}
		}
	})
}
