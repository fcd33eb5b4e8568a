package lane_test

import (
	"testing"
	"time"

	"github.com/penstock-dev/penstock/providers"
	"github.com/penstock-dev/penstock/providers/lane"
)

func limited(l lane.Limits) lane.Config {
	return lane.Config{Limits: map[string]lane.Limits{here.Pool: l}}
}

func TestConcurrencyIsBounded(t *testing.T) {
	t.Parallel()
	onBoth(t, limited(lane.Limits{Concurrency: 2}), func(g *rig) {
		first, second := g.admit(), g.admit()
		g.refuse(lane.Capacity)
		g.flush()
		g.refuse(lane.Capacity)
		g.settle(first, lane.Result{})
		third := g.admit()
		g.refuse(lane.Capacity)
		g.settle(first, lane.Result{}) // again: it frees nothing twice
		g.refuse(lane.Capacity)
		g.settle(second, lane.Result{})
		g.settle(third, lane.Result{})
		g.admit()
	})
}

func TestInvariant6HintShutsTheGateOfThePool(t *testing.T) {
	t.Parallel()
	onBoth(t, lane.Config{}, func(g *rig) {
		g.settle(g.admit(), lane.Result{Class: providers.RateLimited, Hint: time.Minute})
		for _, lose := range []func(){func() {}, g.flush} {
			lose()
			if v := g.refuse(lane.RateLimit); v.For < 50*time.Second || v.For > time.Minute+time.Millisecond {
				t.Errorf("wait %v, want about the minute of the hint", v.For)
			}
			if v := g.ask(lane.Lane{Pool: here.Pool, Target: "sim/two"}); v.Reason != lane.RateLimit {
				t.Errorf("another lane of the pool: got %+v, want it shut", v)
			}
		}
		if v := g.ask(lane.Lane{Pool: "other", Target: "other/one"}); !v.Admitted {
			t.Errorf("a lane of another pool: got %+v, want a permit", v)
		}
	})
}

// TestGroupsAreMeteredApart: what is used of one pool of a provider, and the gate
// that its answers shut, are not another's, also when Redis is emptied.
func TestGroupsAreMeteredApart(t *testing.T) {
	t.Parallel()
	cfg := lane.Config{
		Limits: map[string]lane.Limits{"sim": {Concurrency: 2}, "sim:two": {Concurrency: 1}},
		Groups: lane.Groups{"sim/two": "sim:two"},
	}
	onBoth(t, cfg, func(g *rig) {
		one, two := g.lanes.Of("sim/one"), g.lanes.Of("sim/two")
		if one != here || two != (lane.Lane{Pool: "sim:two", Target: "sim/two"}) {
			g.t.Fatalf("lanes %v and %v, want one in its provider's own pool", one, two)
		}
		under := g.ask(two)
		for _, lose := range []func(){func() {}, g.flush} {
			lose()
			if v := g.ask(two); v.Reason != lane.Capacity {
				g.t.Errorf("a second call of the group: got %+v, want capacity", v)
			}
			first, second := g.admit(), g.admit()
			g.refuse(lane.Capacity)
			g.settle(first, good)
			g.settle(second, good)
		}
		g.settle(under.Permit, lane.Result{Class: providers.RateLimited, Hint: time.Minute})
		for _, lose := range []func(){func() {}, g.flush} {
			lose()
			if v := g.ask(two); v.Reason != lane.RateLimit {
				g.t.Errorf("the group: got %+v, want its gate shut", v)
			}
			g.settle(g.admit(), good)
		}
	})
}

func TestRequestsAreBounded(t *testing.T) {
	t.Parallel()
	onBoth(t, limited(lane.Limits{RequestsPerMinute: 60}), func(g *rig) {
		g.settle(g.admitWithin(3*time.Second), lane.Result{})
		g.settle(g.admitWithin(3*time.Second), lane.Result{})
		if v := g.refuse(lane.RateLimit); v.For > time.Second {
			t.Errorf("wait %v, want at most a second at 60 a minute", v.For)
		}
	})
}
