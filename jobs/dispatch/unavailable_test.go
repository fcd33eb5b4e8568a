package dispatch_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/dispatch"
	"github.com/penstock-dev/penstock/providers/lane"
)

// lesserTarget adds c/m as lesser target of route "r", whose patience is as given.
func (l *lanes) lesserTarget(patience time.Duration) func(*dispatch.Config) {
	l.rooms = make(map[string]lane.Room)
	return func(c *dispatch.Config) {
		c.Lanes = l
		c.Catalog = jobs.NewCatalog([]jobs.Route{{
			Name: "r", Patience: patience, Degraded: []jobs.Target{{Provider: "c", Model: "m"}},
			Targets: []jobs.Target{{Provider: "a", Model: "m"}, {Provider: "b", Model: "m"}},
		}}, nil, jobs.Route{})
	}
}

// gaveUp returns when the route was first given up, after start, and why.
func (f *fleet) gaveUp(start time.Time) (after time.Duration, why string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.givenUp) == 0 {
		return 0, "", false
	}
	return f.givenUp[0].At.Sub(start), f.givenUp[0].Why.Message, true
}

// TestARouteIsUnservedWhenNoTargetCanBeCalled: for longer than it has patience. What
// is ours, such as a limit or a place, is no reason, and neither is what is not known.
func TestARouteIsUnservedWhenNoTargetCanBeCalled(t *testing.T) {
	t.Parallel()
	const never = -1
	pace, full := open(), open()
	pace.Requests, full.Slots = 0, 0
	long, moment := shut(lane.Breaker, time.Minute), shut(lane.RateLimit, 2*time.Second)
	for name, c := range map[string]struct {
		a, b     lane.Room
		patience time.Duration
		after    time.Duration
	}{
		"both for long":               {long, long, 5 * time.Second, 0},
		"one for a moment":            {long, moment, 5 * time.Second, 5 * time.Second},
		"at once":                     {long, moment, 0, 0},
		"an operator's hold lasts":    {shut(lane.Drained, time.Second), long, 5 * time.Second, 5 * time.Second},
		"the first is paused":         {shut(lane.Paused, time.Second), open(), 5 * time.Second, 5 * time.Second},
		"the second is paused":        {open(), shut(lane.Paused, time.Second), 0, never},
		"one is open":                 {long, open(), 0, never},
		"one has used up its minute":  {long, pace, 0, never},
		"one is full":                 {long, full, 0, never},
		"one is not known":            {long, shut(lane.Rebuilding, time.Second), 0, never},
		"one has no place of its own": {long, shut(lane.Capacity, time.Second), 0, never},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, l := newFleet(t), &lanes{}
				two := l.lesserTarget(c.patience)
				l.set("a/m", c.a)
				l.set("b/m", c.b)
				f.add(1, jobs.Candidate{Tenant: "t", Route: "r"})
				start := time.Now()
				f.start(map[string]int{"a": 1, "b": 1, "c": 1}, two)
				time.Sleep(30 * time.Second)
				after, _, ok := f.gaveUp(start)
				if want := c.after != never; ok != want || want && after != c.after {
					t.Errorf("given up: %v, after %v; want %v, after %v", ok, after, want, c.after)
				}
			})
		})
	}
}

// TestWhoIsGivenUpIsToldWhy: the targets, what is the matter with each, and until
// when.
func TestWhoIsGivenUpIsToldWhy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFleet(t), &lanes{}
		two := l.lesserTarget(0)
		l.set("a/m", shut(lane.Breaker, time.Minute))
		l.set("b/m", shut(lane.Drained, time.Second))
		f.add(1, jobs.Candidate{Tenant: "t", Route: "r"})
		start := time.Now()
		f.start(map[string]int{"a": 1, "b": 1}, two)
		synctest.Wait()
		_, why, _ := f.gaveUp(start)
		until := start.Add(time.Minute).UTC().Format(time.RFC3339)
		for _, want := range []string{"a/m: its calls have failed", until, "b/m: an operator has drained it"} {
			if !strings.Contains(why, want) {
				t.Errorf("why = %q, want %q in it", why, want)
			}
		}
	})
}

// TestFullPoolsDoNotHideWhatIsUnserved: calls that hang have all places, and the
// breaker has opened.
func TestFullPoolsDoNotHideWhatIsUnserved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFleet(t), &lanes{}
		two := l.lesserTarget(0)
		f.add(2, jobs.Candidate{Tenant: "t", Route: "r"})
		f.add(1, jobs.Candidate{Tenant: "t", Route: "r", Target: 1})
		f.start(map[string]int{"a": 1, "b": 1}, two)
		time.Sleep(3 * time.Second)
		if n := f.sent(); n["a"] != 1 || n["b"] != 1 {
			t.Fatalf("released %v, want one to each", n)
		}
		l.set("a/m", shut(lane.Breaker, time.Minute))
		l.set("b/m", shut(lane.Breaker, time.Minute))
		start := time.Now()
		time.Sleep(5 * time.Second)
		if after, _, ok := f.gaveUp(start); !ok || after > time.Second {
			t.Errorf("given up: %v, after %v; want within a poll", ok, after)
		}
	})
}

// TestOnlyWhatDegradesIsReleasedToALesserTarget: when all that can be given up was,
// as long as no other target can be called.
func TestOnlyWhatDegradesIsReleasedToALesserTarget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFleet(t), &lanes{}
		two := l.lesserTarget(0)
		l.set("a/m", shut(lane.Breaker, time.Minute))
		l.set("b/m", shut(lane.Breaker, time.Minute))
		f.degradable = make(map[uuid.UUID]bool)
		f.add(500, jobs.Candidate{Tenant: "t", Route: "r"})
		for _, id := range f.add(3, jobs.Candidate{Tenant: "t", Route: "r", Target: 1}) {
			f.degradable[id] = true
		}
		more := 4
		f.giveUp = func(jobs.Unserved) jobs.GivenUp {
			if len(f.log) > 0 && more > 0 {
				t.Errorf("released %d before all was given up", len(f.log))
			}
			more--
			return jobs.GivenUp{More: more > 0}
		}
		f.start(map[string]int{"a": 9, "b": 9, "c": 9}, two)
		time.Sleep(500 * time.Millisecond)
		log := f.logged()
		if len(log) != 3 {
			t.Fatalf("released %d, want the three that degrade", len(log))
		}
		for _, r := range log {
			if r.Provider != "c" || !r.Degraded {
				t.Errorf("released %+v, want to c and degraded", r.Release)
			}
		}
		l.set("c/m", shut(lane.Breaker, time.Minute))
		for _, id := range f.add(1, jobs.Candidate{Tenant: "t", Route: "r"}) {
			f.set(func() { f.degradable[id] = true })
		}
		time.Sleep(10 * time.Second)
		if log := f.logged(); len(log) != 0 {
			t.Errorf("released %+v while all is shut, want nothing", log)
		}
		l.set("a/m", open())
		time.Sleep(2 * time.Second)
		if log := f.logged(); len(log) != 9 || log[0].Provider != "a" || log[0].Degraded {
			t.Errorf("released %d when a had opened, want 9 to a, not degraded", len(log))
		}
	})
}

// TestItGoesOnTheMomentALaneOpens: not at the next poll.
func TestItGoesOnTheMomentALaneOpens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFleet(t), &lanes{}
		two := l.lesserTarget(5 * time.Second)
		start := time.Now()
		opens := start.Add(2345 * time.Millisecond)
		l.until("a/m", opens)
		l.until("b/m", opens.Add(time.Hour))
		f.addOne(jobs.Candidate{Execution: idOf(start), Tenant: "t", Route: "r"})
		f.start(places, two)
		time.Sleep(10 * time.Second)
		log := f.logged()
		if len(log) != 1 || !log[0].at.Equal(opens) {
			t.Errorf("released %+v, want one after %v", log, opens.Sub(start))
		}
	})
}

// TestWhatAnOperatorKeeps: a pause of the first target holds all of the route, for
// ever if need be; what is drained, or paused further behind, is passed over at once.
func TestWhatAnOperatorKeeps(t *testing.T) {
	t.Parallel()
	paused, drained := shut(lane.Paused, time.Second), shut(lane.Drained, time.Second)
	for name, c := range map[string]struct {
		mode   jobs.Mode
		a, b   lane.Room
		target int
		want   string
	}{
		"the first is paused":                  {jobs.ActivePassive, paused, open(), 0, ""},
		"one that has failed over waits, too":  {jobs.ActivePassive, paused, open(), 1, ""},
		"the first is drained":                 {jobs.ActivePassive, drained, open(), 0, "b"},
		"the second is paused":                 {jobs.ActivePassive, open(), paused, 1, "a"},
		"active_active has no first":           {jobs.ActiveActive, paused, open(), 0, "b"},
		"what comes first is drained or shut":  {jobs.ActivePassive, drained, paused, 0, ""},
		"the second is drained, for the other": {jobs.ActivePassive, open(), drained, 1, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f, l := newFleet(t), &lanes{}
				two := l.twoTargets(c.mode)
				l.set("a/m", c.a)
				l.set("b/m", c.b)
				f.addOne(jobs.Candidate{Execution: idOf(time.Now()), Tenant: "t", Route: "r", Target: c.target})
				f.start(places, two)
				synctest.Wait()
				if n := f.sent(); n[c.want] != min(1, len(c.want)) {
					t.Errorf("released %v at once, want it to %q", n, c.want)
				}
				time.Sleep(time.Hour)
				if n := f.sent(); c.want == "" && len(n) != 0 {
					t.Errorf("released %v within an hour, want nothing", n)
				}
			})
		})
	}
}

// TestInvariant9RoutesThatAreGivenUpDoNotKeepOthers: however many they are, a pass
// gives up no more than a portion of their jobs, each of them some.
func TestInvariant9RoutesThatAreGivenUpDoNotKeepOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const routes = 40
		f, l := newFleet(t), &lanes{rooms: make(map[string]lane.Room)}
		for i := range routes {
			target := fmt.Sprint("a/", i)
			l.set(target, shut(lane.RateLimit, time.Hour))
			f.add(1, jobs.Candidate{Tenant: "t", Route: target})
		}
		inPass, given := make(map[int]int), make(map[string]int)
		f.giveUp = func(u jobs.Unserved) jobs.GivenUp {
			inPass[len(f.passes)] += u.Limit
			given[u.Route]++
			return jobs.GivenUp{More: given[u.Route] < 50}
		}
		f.start(places, func(c *dispatch.Config) {
			c.Lanes = l
			c.Catalog = jobs.NewCatalog(nil, map[string][]string{"a": nil}, jobs.Route{})
		})
		synctest.Wait()
		f.mu.Lock()
		defer f.mu.Unlock()
		for pass, n := range inPass {
			if n > 500 {
				t.Errorf("pass %d looked at up to %d jobs, want at most 500", pass, n)
				break
			}
		}
		if len(given) != routes {
			t.Errorf("jobs of %d routes were given up, want those of %d", len(given), routes)
		}
		for route, n := range given {
			if n < 50 {
				t.Errorf("%s: asked %d times, want until there are no more", route, n)
			}
		}
	})
}
