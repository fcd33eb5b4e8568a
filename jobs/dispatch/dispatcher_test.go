package dispatch_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/dispatch"
)

func TestIdleSystemReleasesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var got []jobs.Task
		f.onTask = func(task jobs.Task) { got = append(got, task) }
		d, _ := f.start(map[string]int{"sim": 4})
		time.Sleep(1500 * time.Millisecond)
		f.asked()
		ids := f.add(1, jobs.Candidate{Tenant: "a", Priority: jobs.PriorityHigh})
		before := time.Now()
		d.Wake()
		synctest.Wait()
		want := jobs.Task{Execution: ids[0], Fence: 1, Provider: "sim", Priority: jobs.PriorityHigh}
		if len(got) != 1 || got[0] != want || !time.Now().Equal(before) {
			t.Errorf("enqueued %+v after %v, want %+v at once", got, time.Since(before), want)
		}
		if n := f.asked(); n > 6 {
			t.Errorf("releasing one execution took %d queries, want at most 6", n)
		}
	})
}

func TestNothingToDoCostsLittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 2})
		synctest.Wait()
		if n := f.asked(); n != 3 {
			t.Errorf("the first pass over an empty store took %d queries, want 3", n)
		}
		d.Wake()
		synctest.Wait()
		if n := f.asked(); n != 2 {
			t.Errorf("another pass over an empty store took %d queries, want 2", n)
		}
		f.add(10, jobs.Candidate{Tenant: "a"})
		d.Wake()
		synctest.Wait()
		f.asked()
		d.Wake()
		synctest.Wait()
		if n := f.asked(); n != 1 {
			t.Errorf("a pass over full pools took %d queries, want 1", n)
		}
	})
}

func TestManyWakesAreOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 2})
		synctest.Wait()
		f.asked()
		for range 1000 {
			d.Wake()
		}
		synctest.Wait()
		if n := f.asked(); n > 4 {
			t.Errorf("1000 wakes took %d queries, want at most those of two passes", n)
		}
	})
}

// Under many wakes a dispatcher whose passes take a while makes them half of the
// time; one wake after a quiet while makes one at once.
func TestPassesLeaveRoomForWakes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.slow = 5 * time.Millisecond
		d, _ := f.start(map[string]int{"sim": 2})
		time.Sleep(50 * time.Millisecond)
		f.set(func() { f.passes = nil })
		begun := time.Now()
		for range 500 {
			d.Wake()
			time.Sleep(time.Millisecond)
		}
		f.set(func() {
			if f.passes[0] != begun {
				t.Errorf("the first pass came %v after the first wake, want at once", f.passes[0].Sub(begun))
			}
			if n := len(f.passes); n < 48 || n > 51 {
				t.Errorf("500 ms of wakes made %d passes of 5 ms, want 50", n)
			}
		})
	})
}

func TestLostWakeCostsAPollInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.start(map[string]int{"sim": 2}, func(c *dispatch.Config) { c.Pace.Poll = 3 * time.Second })
		time.Sleep(time.Minute)
		f.add(1, jobs.Candidate{Tenant: "a"})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if log := f.logged(); len(log) != 1 {
			t.Errorf("released %d executions within the poll interval, want 1", len(log))
		}
	})
}

func TestOutstandingNeverExceedsThePool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var all []*dispatch.Dispatcher
		f.onTask = func(task jobs.Task) {
			time.AfterFunc(time.Duration(task.Execution[15])*time.Millisecond, func() {
				f.finish(task.Execution)
				for _, d := range all {
					d.Wake()
				}
			})
		}
		pools := map[string]int{"sim": 7, "other": 3}
		for range 3 {
			d, _ := f.start(pools)
			all = append(all, d)
		}
		for _, tenant := range []string{"a", "b", "c"} {
			f.add(300, jobs.Candidate{Tenant: tenant})
			f.add(100, jobs.Candidate{Tenant: tenant, Route: "other/model", Priority: jobs.PriorityLow})
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if log := f.logged(); len(log) != 1200 {
			t.Errorf("released %d executions, want all 1200", len(log))
		}
		if f.most["sim"] != 7 || f.most["other"] != 3 {
			t.Errorf("most outstanding at once was %v, want %v", f.most, pools)
		}
	})
}

// leaders notes who leads.
type leaders struct {
	mu   sync.Mutex
	last string
	at   time.Time
}

func (l *leaders) observe(name string) func(*dispatch.Config) {
	return func(c *dispatch.Config) {
		c.Observer.Leading = func(yes bool) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if yes {
				l.last, l.at = name, time.Now()
			}
		}
	}
}

func TestLeaseIsHandedOverAtAStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFleet(t), &leaders{}
		_, stop := f.start(map[string]int{"sim": 1}, l.observe("first"))
		synctest.Wait()
		second, _ := f.start(map[string]int{"sim": 1}, l.observe("second"))
		time.Sleep(time.Minute)
		if l.last != "first" {
			t.Fatalf("leader is %q while the first lives", l.last)
		}
		time.Sleep(500 * time.Millisecond) // between two polls of the first
		synctest.Wait()
		f.asked()
		second.Wake()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := f.asked(); n > 30 {
			t.Errorf("%d queries in 10 s, want the 30 of who has the lease", n)
		}
		stopped := time.Now()
		stop()
		time.Sleep(time.Second)
		synctest.Wait()
		if l.last != "second" || l.at.Sub(stopped) > time.Second {
			t.Errorf("leader is %q since %v after the stop, want the second within 1s", l.last, l.at.Sub(stopped))
		}
	})
}

func TestLeaseIsTakenFromWhoIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, l := newFleet(t), &leaders{}
		holder := uuid.Must(uuid.NewV7())
		first, _ := f.start(map[string]int{"sim": 1}, l.observe("first"), func(c *dispatch.Config) { c.Holder = holder })
		synctest.Wait()
		f.start(map[string]int{"sim": 1}, l.observe("second"))
		time.Sleep(time.Minute)
		cut := time.Now()
		f.set(func() { f.awayFor = holder })
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if l.last != "second" || l.at.Sub(cut) > 5*time.Second {
			t.Fatalf("leader is %q since %v after the cut, want the second within 5s", l.last, l.at.Sub(cut))
		}
		f.logged()
		f.add(1, jobs.Candidate{Tenant: "a"})
		before := f.asked()
		first.Wake()
		synctest.Wait()
		if log, n := f.logged(), f.asked(); len(log) != 0 || n != 0 {
			t.Errorf("who has lost the lease made %d queries (%d before) and released %d", n, before, len(log))
		}
	})
}

func TestStoreAwayDoesNotSpinAndIsMissedByASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var errs []error
		d, _ := f.start(map[string]int{"sim": 1}, func(c *dispatch.Config) {
			c.Observer.Error = func(err error) { errs = append(errs, err) }
		})
		time.Sleep(10 * time.Second)
		f.set(func() { f.away, f.queries, f.leaseTries = errAway, 0, 0 })
		for range 6_000 {
			time.Sleep(100 * time.Millisecond)
			d.Wake()
		}
		tries := 0
		f.set(func() { tries = f.queries + f.leaseTries })
		if tries > 1_700 || len(errs) != 1 {
			t.Errorf("an outage of ten minutes took %d tries and %d reports, want at most 1,700 and 1", tries, len(errs))
		}
		f.set(func() { f.away = nil })
		f.add(1, jobs.Candidate{Tenant: "a"})
		time.Sleep(time.Second)
		synctest.Wait()
		if log := f.logged(); len(log) != 1 {
			t.Errorf("released %d executions within 1s of the store's return, want 1", len(log))
		}
	})
}

func TestQueueAwayIsReportedOnceAndNotRepeated(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.queueAway = errAway
		var errs []error
		f.start(map[string]int{"sim": 3}, func(c *dispatch.Config) {
			c.Observer.Error = func(err error) { errs = append(errs, err) }
		})
		f.add(100, jobs.Candidate{Tenant: "a"})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if len(errs) != 1 || f.enqueues != 1 || len(f.released) != 3 {
			t.Errorf("%d reports, %d tries to enqueue, %d released; want 1, 1 and one window of 3",
				len(errs), f.enqueues, len(f.released))
		}
		for range 10 { // as if a reconciler took them back
			f.finishAll()
			time.Sleep(2 * time.Second)
		}
		synctest.Wait()
		if len(errs) != 1 || f.enqueues > 21 {
			t.Errorf("%d reports, %d tries to enqueue in 20 s more; want still 1, and one a pass", len(errs), f.enqueues)
		}
	})
}

// TestWhoCannotEnqueueGivesWay: for longer than another takes to ask for the
// lease, and not for ever.
func TestWhoCannotEnqueueGivesWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.queueAway = errAway
		var changes []time.Time
		f.start(map[string]int{"sim": 1}, func(c *dispatch.Config) {
			c.Observer.Leading = func(bool) { changes = append(changes, time.Now()) }
		})
		f.add(1, jobs.Candidate{Tenant: "a"})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(changes) != 3 {
			t.Fatalf("took or gave up the lease %d times, want taken, given up and taken again", len(changes))
		}
		if away := changes[2].Sub(changes[1]); away < 1500*time.Millisecond || away > 3*time.Second {
			t.Errorf("gave way for %v, want 1.5 s to 3 s", away)
		}
	})
}

func TestUnknownRouteWaitsAndIsReportedEachMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		var reports []string
		f.start(map[string]int{"sim": 3}, func(c *dispatch.Config) {
			c.Observer.UnknownRoute = func(route string, err error) { reports = append(reports, fmt.Sprint(route, ": ", err)) }
		})
		f.add(1, jobs.Candidate{Tenant: "a", Route: "gone"})
		f.add(1, jobs.Candidate{Tenant: "a"})
		time.Sleep(10*time.Minute + 30*time.Second)
		synctest.Wait()
		if log := f.logged(); len(log) != 1 || log[0].Route != "sim/model" {
			t.Errorf("released %+v, want only what has a route", log)
		}
		if len(reports) < 10 || len(reports) > 11 || !strings.Contains(reports[0], "configure it again or cancel their jobs") {
			t.Errorf("%d reports in 10.5 min, want one a minute that says what to do: %v", len(reports), reports[0])
		}
	})
}

// withRoute configures a route over two providers.
func withRoute(c *dispatch.Config) {
	c.Catalog = jobs.NewCatalog([]jobs.Route{{
		Name: "default", MaxAttempts: 5,
		Targets: []jobs.Target{{Provider: "first", Model: "m1"}, {Provider: "second", Model: "m2"}},
	}}, nil, jobs.Route{})
}

func TestTargetIsTheCandidates(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.start(map[string]int{"first": 9, "second": 9}, withRoute)
		for i, want := range map[int]jobs.Target{
			0: {Provider: "first", Model: "m1"}, 1: {Provider: "second", Model: "m2"},
			2: {Provider: "first", Model: "m1"}, -1: {Provider: "first", Model: "m1"},
		} {
			f.add(1, jobs.Candidate{Tenant: "a", Route: "default", Target: i})
			time.Sleep(time.Second)
			synctest.Wait()
			log := f.logged()
			if len(log) != 1 || log[0].Provider != want.Provider || log[0].Model != want.Model {
				t.Errorf("target %d: released %+v, want to %v", i, log, want)
			}
		}
	})
}

func TestWorkForAFullPoolDoesNotHideOtherWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.start(map[string]int{"first": 2, "second": 2}, withRoute)
		f.add(200, jobs.Candidate{Tenant: "a", Route: "default", Target: 0})
		f.add(2, jobs.Candidate{Tenant: "a", Route: "default", Target: 1})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		got := count(f.logged(), func(r running) string { return r.Provider })
		if got["first"] != 2 || got["second"] != 2 {
			t.Errorf("released %v, want 2 to each", got)
		}
	})
}

// TestHoweverMuchWorkForAFullPoolHidesNoOtherWork: a long backlog for a target
// without room is looked through further and further.
func TestHoweverMuchWorkForAFullPoolHidesNoOtherWork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.start(map[string]int{"full": 1, "free": 5}, func(c *dispatch.Config) {
			c.Catalog = jobs.NewCatalog([]jobs.Route{{Name: "two", Targets: []jobs.Target{
				{Provider: "full", Model: "m"}, {Provider: "free", Model: "m"},
			}}}, nil, jobs.Route{})
		})
		f.add(10_000, jobs.Candidate{Route: "two", Tenant: "a", Deadline: time.Now().Add(time.Hour)})
		f.add(5, jobs.Candidate{Route: "two", Tenant: "a", Target: 1, Deadline: time.Now().Add(2 * time.Hour)})
		time.Sleep(15 * time.Second)
		synctest.Wait()
		free := 0
		for _, r := range f.logged() {
			if r.Provider == "free" {
				free++
			}
		}
		if free != 5 {
			t.Errorf("%d releases to the target with room, want 5", free)
		}
	})
}

func TestNewNamesTheFieldAtFault(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	good := dispatch.Config{
		Store: f, Queue: f, Catalog: jobs.NewCatalog(nil, nil, jobs.Route{}), Holder: uuid.Must(uuid.NewV7()),
	}
	for field, breakIt := range map[string]func(*dispatch.Config){
		"Store":        func(c *dispatch.Config) { c.Store = nil },
		"Queue":        func(c *dispatch.Config) { c.Queue = nil },
		"Catalog":      func(c *dispatch.Config) { c.Catalog = nil },
		"Holder":       func(c *dispatch.Config) { c.Holder = uuid.Nil },
		"Lease":        func(c *dispatch.Config) { c.Pace.Lease = time.Second },
		"Poll":         func(c *dispatch.Config) { c.Pace.Poll = -1 },
		`Pools["sim"]`: func(c *dispatch.Config) { c.Pools = map[string]int{"sim": 0} },
	} {
		c := good
		breakIt(&c)
		if _, err := dispatch.New(c); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("New with a bad %s = %v, want an error that names it", field, err)
		}
	}
	if _, err := dispatch.New(good); err != nil {
		t.Errorf("New = %v, want nil", err)
	}
}
