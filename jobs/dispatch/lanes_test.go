package dispatch_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/dispatch"
	"github.com/penstock-dev/penstock/providers/lane"
)

// lanes let everything through but what is said of a target.
type lanes struct {
	mu    sync.Mutex
	rooms map[string]lane.Room
	// opens are those that are gated until a time.
	opens map[string]time.Time
	away  error
	asked int
	// most is how many were asked for at once.
	most int
	// named are the lanes asked for.
	named []lane.Lane
}

func (l *lanes) Room(_ context.Context, _ time.Duration, all ...lane.Lane) ([]lane.Room, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked, l.most = l.asked+1, max(l.most, len(all))
	if l.away != nil {
		return nil, l.away
	}
	rooms := make([]lane.Room, len(all))
	for i, one := range all {
		rooms[i] = open()
		if r, ok := l.rooms[one.Target]; ok {
			rooms[i] = r
		}
		if wait := time.Until(l.opens[one.Target]); wait > 0 {
			rooms[i] = shut(lane.RateLimit, wait)
		}
		rooms[i].Lane = one
	}
	l.named = append(l.named, all...)
	return rooms, nil
}

func open() lane.Room {
	const all = lane.Unbounded
	return lane.Room{Requests: all, Input: all, Output: all, Tokens: all, Slots: all, Health: 1}
}

// shut is a lane that lets nothing through for so long.
func shut(why lane.Reason, wait time.Duration) lane.Room {
	r := open()
	r.Reason, r.For = why, wait
	return r
}

// lanes lists what was asked for of a target.
func (l *lanes) lanes(target string) (all []lane.Lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.named {
		if one.Target == target {
			all = append(all, one)
		}
	}
	return all
}

func (l *lanes) set(target string, r lane.Room) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rooms[target] = r
}

// until gates a target until a time.
func (l *lanes) until(target string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opens == nil {
		l.opens = make(map[string]time.Time)
	}
	l.opens[target] = at
}

// twoTargets makes route "r" of a/m and b/m, in a mode.
func (l *lanes) twoTargets(mode jobs.Mode) func(*dispatch.Config) {
	l.rooms = make(map[string]lane.Room)
	return func(c *dispatch.Config) {
		c.Lanes = l
		c.Catalog = jobs.NewCatalog([]jobs.Route{{
			Name: "r", Mode: mode, Patience: 5 * time.Second,
			Targets: []jobs.Target{{Provider: "a", Model: "m"}, {Provider: "b", Model: "m"}},
		}}, nil, jobs.Route{})
	}
}

// idOf returns a UUIDv7 of that time. Those of the package go on from the latest
// time that any test has seen.
func idOf(t time.Time) uuid.UUID {
	id := uuid.Must(uuid.NewV7())
	ms := t.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	return id
}

func (f *fleet) addOne(c jobs.Candidate) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c.Cost = 100
	f.put(c)
}

func byProvider(r running) string { return r.Provider }

// sent counts what was released so far, by provider.
func (f *fleet) sent() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return count(f.log, byProvider)
}

var places = map[string]int{"a": 10, "b": 10}

// TestNothingIsReleasedToAShutLane: it would only be given back. It goes on when
// the lane opens.
func TestNothingIsReleasedToAShutLane(t *testing.T) {
	t.Parallel()
	for _, reason := range []lane.Reason{lane.RateLimit, lane.Breaker, lane.Paused, lane.Rebuilding} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, l := newFleet(t), &lanes{}
				two := l.twoTargets(jobs.ActivePassive)
				l.set("a/m", shut(reason, time.Minute))
				l.set("b/m", shut(reason, time.Minute))
				f.add(3, jobs.Candidate{Tenant: "t", Route: "r"})
				f.start(places, two)
				time.Sleep(30 * time.Second)
				if n := f.sent(); len(n) != 0 {
					t.Fatalf("released %v to lanes that are shut, want nothing", n)
				}
				l.set("a/m", open())
				time.Sleep(2 * time.Second)
				if n := f.sent(); n["a"] != 3 {
					t.Errorf("released %v when the lane had opened, want 3 to a", n)
				}
			})
		})
	}
}

// TestPatienceDecidesWhenTheNextTargetIsCalled: at once if the first is shut for
// longer, else when it has run out.
func TestPatienceDecidesWhenTheNextTargetIsCalled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wait   time.Duration
		target int
		at     time.Duration
		first  string
	}{
		"shut for long":                 {wait: time.Minute, at: 0, first: "b"},
		"shut for a moment":             {wait: 2 * time.Second, at: 5 * time.Second, first: "b"},
		"it has failed over before":     {wait: time.Minute, target: 1, at: 0, first: "b"},
		"nothing is known of that time": {wait: 0, at: 5 * time.Second, first: "b"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, l := newFleet(t), &lanes{}
				two := l.twoTargets(jobs.ActivePassive)
				l.set("a/m", shut(lane.Breaker, c.wait))
				f.addOne(jobs.Candidate{Execution: idOf(time.Now()), Tenant: "t", Route: "r", Target: c.target})
				start := time.Now()
				f.start(places, two)
				time.Sleep(10 * time.Second)
				log := f.logged()
				if len(log) != 1 || log[0].Provider != c.first {
					t.Fatalf("released %+v, want one to %s", log, c.first)
				}
				if late := log[0].at.Sub(start) - c.at; late < 0 || late > time.Second {
					t.Errorf("released after %v, want %v, or up to a poll later", log[0].at.Sub(start), c.at)
				}
			})
		})
	}
}

// TestAFailedOverCandidateComesBackWhereItCan: when the target it went to is shut.
func TestAFailedOverCandidateComesBackWhereItCan(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFleet(t), &lanes{}
		two := l.twoTargets(jobs.ActivePassive)
		l.set("b/m", shut(lane.Breaker, time.Hour))
		f.add(1, jobs.Candidate{Tenant: "t", Route: "r", Target: 1})
		f.start(places, two)
		time.Sleep(time.Second)
		if n := f.sent(); n["a"] != 1 {
			t.Errorf("released %v, want it to a", n)
		}
	})
}

// TestOnlyAsMuchIsReleasedAsALaneLetsThrough: what was released and has not asked
// yet counts; a probe is one.
func TestOnlyAsMuchIsReleasedAsALaneLetsThrough(t *testing.T) {
	t.Parallel()
	rate, probe, tokens := open(), open(), open()
	rate.Requests = 4
	probe.Slots, probe.Recovering = 1, true
	tokens.Output = 100_000
	few := open()
	few.Slots = 3
	for name, c := range map[string]struct {
		room lane.Room
		want int
	}{"requests": {rate, 4}, "a probe": {probe, 1}, "tokens": {tokens, 16}, "places": {few, 3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, l := newFleet(t), &lanes{}
				two := l.twoTargets(jobs.ActivePassive)
				l.set("a/m", c.room)
				l.set("b/m", shut(lane.Drained, time.Second))
				f.add(40, jobs.Candidate{Tenant: "t", Route: "r"})
				f.start(map[string]int{"a": 30, "b": 30}, two)
				time.Sleep(900 * time.Millisecond)
				if n := f.sent(); n["a"] != c.want || n["b"] != 0 {
					t.Errorf("released %v while none of them has asked, want %d to a", n, c.want)
				}
			})
		})
	}
}

// TestALaneThatIsUsedUpKeepsNoOtherOfItsPool: what a provider told of one model's
// limits is of that model. What the pool lets through they share all the same.
func TestALaneThatIsUsedUpKeepsNoOtherOfItsPool(t *testing.T) {
	t.Parallel()
	usedUp, some, places := open(), open(), open()
	usedUp.Requests, some.Requests = 0, 2
	places.Slots = 3
	for name, c := range map[string]struct {
		small, big         lane.Room
		toSmall, toBig, or int
	}{
		"used up":               {usedUp, open(), 0, 10, 10},
		"nearly used up":        {some, open(), 2, 10, 10},
		"both are":              {some, usedUp, 2, 0, 2},
		"the pool's, by places": {places, places, 3, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, l := newFleet(t), &lanes{rooms: make(map[string]lane.Room)}
				l.set("a/small", c.small)
				l.set("a/big", c.big)
				f.add(20, jobs.Candidate{Tenant: "t", Route: "a/small"})
				f.add(20, jobs.Candidate{Tenant: "t", Route: "a/big"})
				f.start(map[string]int{"a": 10}, func(cfg *dispatch.Config) {
					cfg.Lanes = l
					cfg.Catalog = jobs.NewCatalog(nil, map[string][]string{"a": nil}, jobs.Route{})
				})
				time.Sleep(5 * time.Second)
				n := count(f.logged(), func(r running) string { return r.Model })
				if n["small"] > c.toSmall || n["big"] > c.toBig || n["small"]+n["big"] != c.or {
					t.Errorf("released %v, want %d, at most %d to small and %d to big", n, c.or, c.toSmall, c.toBig)
				}
			})
		})
	}
}

// TestActiveActiveGoesByWeight: by what is known of speed and health, in that
// proportion, to those that let it through.
func TestActiveActiveGoesByWeight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFleet(t), &lanes{}
		two := l.twoTargets(jobs.ActiveActive)
		weigh := func(c *dispatch.Config) {
			c.Weight = func(t jobs.Target) float64 { return map[string]float64{"a": 6, "b": 1}[t.Provider] }
		}
		sick := open()
		sick.Health = 0.5
		l.set("a/m", sick)
		f.add(2000, jobs.Candidate{Tenant: "t", Route: "r"})
		f.start(map[string]int{"a": 100_000, "b": 100_000}, two, weigh)
		time.Sleep(30 * time.Second)
		n := f.sent()
		if share := float64(n["a"]) / 2000; n["a"]+n["b"] != 2000 || share < 0.7 || share > 0.8 {
			t.Fatalf("released %v of 2000, want three of four to a", n)
		}
		l.set("a/m", shut(lane.Breaker, time.Minute))
		before := n["a"]
		f.add(100, jobs.Candidate{Tenant: "t", Route: "r"})
		f.add(1, jobs.Candidate{Tenant: "t", Route: "r", Target: 1})
		time.Sleep(time.Minute)
		if n = f.sent(); n["a"] != before || n["b"] != 2000-before+101 {
			t.Errorf("released %v while a was shut, want all to b", n)
		}
	})
}

// TestActiveActiveGoesByPrice: half the price, twice the calls; what is not known is
// as dear as the others are on average.
func TestActiveActiveGoesByPrice(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prices map[string]float64
		want   float64
	}{
		"one is cheaper":          {map[string]float64{"a": 1, "b": 2}, 2.0 / 3},
		"one is not known":        {map[string]float64{"a": 1}, 0.5},
		"neither is known":        {nil, 0.5},
		"one is very much so":     {map[string]float64{"a": 0.01, "b": 1}, 0.99},
		"they cost the same":      {map[string]float64{"a": 3, "b": 3}, 0.5},
		"the other is, four fold": {map[string]float64{"a": 4, "b": 1}, 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, l := newFleet(t), &lanes{}
				two := l.twoTargets(jobs.ActiveActive)
				f.add(4000, jobs.Candidate{Tenant: "t", Route: "r"})
				f.start(map[string]int{"a": 1_000_000, "b": 1_000_000}, two, func(cfg *dispatch.Config) {
					prices := make(map[jobs.Target]jobs.Price)
					for provider, usd := range c.prices {
						prices[jobs.Target{Provider: provider, Model: "m"}] = jobs.Price{Input: usd, Output: usd}
					}
					cfg.Catalog = cfg.Catalog.WithPrices(prices)
				})
				time.Sleep(30 * time.Second)
				n := f.sent()
				if share := float64(n["a"]) / 4000; n["a"]+n["b"] != 4000 || math.Abs(share-c.want) > 0.04 {
					t.Errorf("released %v of 4000, want %.2f of them to a", n, c.want)
				}
			})
		})
	}
}

// TestAShutRouteSaysWhy: to those who wait.
func TestAShutRouteSaysWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFleet(t), &lanes{}
		two := l.twoTargets(jobs.ActivePassive)
		l.set("a/m", shut(lane.Breaker, time.Hour))
		l.set("b/m", shut(lane.RateLimit, time.Hour))
		f.add(1, jobs.Candidate{Tenant: "t", Route: "r"})
		f.start(places, two)
		time.Sleep(5 * time.Second)
		f.mu.Lock()
		told := slices.Clone(f.flows)
		f.mu.Unlock()
		if !slices.ContainsFunc(told, func(w jobs.Flow) bool {
			return w.Tenant == "" && w.Route == "r" && w.WaitingOn == jobs.WaitingOnBreaker
		}) {
			t.Errorf("told %+v, want that the route waits on its first target's breaker", told)
		}
	})
}

// TestNothingIsReleasedUnasked: while the lanes are not known.
func TestNothingIsReleasedUnasked(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFleet(t), &lanes{away: errors.New("Redis is away")}
		var errs []error
		f.add(3, jobs.Candidate{Tenant: "t", Route: "r"})
		f.start(places, l.twoTargets(jobs.ActivePassive), func(c *dispatch.Config) {
			c.Observer.Error = func(err error) { errs = append(errs, err) }
		})
		time.Sleep(time.Minute)
		if n := f.sent(); len(n) != 0 || len(errs) != 1 {
			t.Errorf("released %v and reported %v, want nothing and one report", n, errs)
		}
	})
}

// TestInvariant9MadeUpModelsDoNotKeepRoutes: callers may name any model of a provider.
// However many they name, a pass asks about few of them, and about all routes; and all
// have their turn, until the last is gone.
func TestInvariant9MadeUpModelsDoNotKeepRoutes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const models = 1000
		f, l := newFleet(t), &lanes{}
		for i := range models {
			f.add(1, jobs.Candidate{Tenant: "t", Route: fmt.Sprint("b/", i)})
		}
		f.add(1, jobs.Candidate{Tenant: "u", Route: "r"})
		f.start(map[string]int{"a": 10, "b": models}, func(c *dispatch.Config) {
			c.Lanes = l
			c.Catalog = jobs.NewCatalog(
				[]jobs.Route{{Name: "r", Targets: []jobs.Target{{Provider: "a", Model: "m"}}}},
				map[string][]string{"b": nil}, jobs.Route{})
		})
		synctest.Wait()
		if sent := f.sent(); sent["a"] != 1 || sent["b"] != models {
			t.Errorf("released %v, want 1 to a and %d to b", sent, models)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.most > 17 {
			t.Errorf("asked for %d lanes at once, want at most 16 and that of the route", l.most)
		}
	})
}
