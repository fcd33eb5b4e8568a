package dispatch_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/penstock-dev/penstock/jobs"
	"github.com/penstock-dev/penstock/jobs/dispatch"
)

// serve makes every task take a while and wakes the dispatcher when it is done.
func (f *fleet) serve(d *atomic.Pointer[dispatch.Dispatcher], took time.Duration) {
	f.onTask = func(task jobs.Task) {
		time.AfterFunc(took, func() {
			f.finish(task.Execution)
			d.Load().Wake()
		})
	}
}

// TestInvariant9SmallTenantsBesideAHugeOne compares two tenants of 200 jobs
// beside one of 20,000 with the same two alone.
func TestInvariant9SmallTenantsBesideAHugeOne(t *testing.T) {
	t.Parallel()
	alone := smallTenantsTake(t, 0)
	beside := smallTenantsTake(t, 20_000)
	t.Logf("two tenants of 200: alone %v, beside one of 20,000: %v", alone, beside)
	if beside > 2*alone {
		t.Errorf("two tenants of 200 took %v beside one of 20,000, alone %v; want at most twice that", beside, alone)
	}
}

func smallTenantsTake(t *testing.T, huge int) (took time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		f.add(huge, jobs.Candidate{Tenant: "a-huge"})
		var serving atomic.Pointer[dispatch.Dispatcher]
		f.serve(&serving, time.Second)
		d, _ := f.start(map[string]int{"sim": 50})
		serving.Store(d)
		time.Sleep(10500 * time.Millisecond) // the huge one has the pool for itself
		start := time.Now()
		f.add(200, jobs.Candidate{Tenant: "b"})
		f.add(200, jobs.Candidate{Tenant: "z"})
		d.Wake()
		time.Sleep(time.Minute)
		synctest.Wait()
		counts := map[string]int{}
		for _, r := range f.logged() {
			counts[r.Tenant]++
			if r.Tenant != "a-huge" {
				took = r.at.Sub(start)
			}
		}
		if counts["b"] != 200 || counts["z"] != 200 {
			t.Fatalf("released %v, want all of the small tenants", counts)
		}
	})
	return took
}

func TestInvariant9NoTenantTakesOver80PercentOfAContestedPool(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 50})
		f.add(1000, jobs.Candidate{Tenant: "urgent", Priority: jobs.PriorityHigh})
		f.add(100, jobs.Candidate{Tenant: "other"})
		for round := range 10 {
			d.Wake()
			synctest.Wait()
			if got := count(f.logged(), byTenant); got["urgent"] != 40 || got["other"] != 10 {
				t.Fatalf("round %d: released %v, want 40 urgent and 10 other", round, got)
			}
			f.finishAll()
		}
		d.Wake()
		synctest.Wait()
		if got := count(f.logged(), byTenant); got["urgent"] != 50 {
			t.Errorf("alone: released %v, want all the room for who is alone", got)
		}
		// The pool is full with one tenant: the next places are the other's.
		f.add(100, jobs.Candidate{Tenant: "other"})
		for range 10 {
			for id := range f.released {
				f.finish(id)
				break
			}
			d.Wake()
			synctest.Wait()
		}
		if got := count(f.logged(), byTenant); got["other"] < 9 {
			t.Errorf("of ten places that became free released %v, want nearly all to the other", got)
		}
	})
}

func TestLowPriorityKeepsASmallShare(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 5, 64} {
		t.Run(fmt.Sprint("pool of ", size), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				d, _ := f.start(map[string]int{"sim": size})
				synctest.Wait()
				f.add(2000, jobs.Candidate{Tenant: "a", Priority: jobs.PriorityHigh})
				f.add(2000, jobs.Candidate{Tenant: "a", Priority: jobs.PriorityNormal})
				f.add(2000, jobs.Candidate{Tenant: "a", Priority: jobs.PriorityLow})
				var log []running
				for len(log) < 640 {
					d.Wake()
					synctest.Wait()
					log = append(log, f.logged()...)
					f.finishAll()
				}
				got := count(log[:640], byPriority)
				if got["low"] != 40 || got["normal"] != 0 || got["high"] != 600 {
					t.Errorf("of 640 releases %v, want 1 in 16 low and all others high", got)
				}
			})
		})
	}
}

func TestPrioritiesAreStrictOtherwise(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 3})
		synctest.Wait()
		f.add(5, jobs.Candidate{Tenant: "a", Priority: jobs.PriorityLow})
		f.add(5, jobs.Candidate{Tenant: "a", Priority: jobs.PriorityNormal})
		f.add(5, jobs.Candidate{Tenant: "a", Priority: jobs.PriorityHigh})
		var order string
		for range 5 {
			d.Wake()
			synctest.Wait()
			for _, r := range f.logged() {
				order += r.Priority.String()[:1]
			}
			f.finishAll()
		}
		if order != "hhhhhnnnnnlllll" {
			t.Errorf("released in the order %q, want high, then normal, then low", order)
		}
	})
}

func TestWithinATenantByDeadlineThenAge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		now := time.Now()
		first := f.add(1, jobs.Candidate{Tenant: "a", Deadline: now.Add(time.Minute)})
		second := f.add(2, jobs.Candidate{Tenant: "a", Deadline: now.Add(time.Hour), Route: "sim/other"})
		third := f.add(2, jobs.Candidate{Tenant: "a", Deadline: now.Add(time.Hour)})
		var want []uuid.UUID
		want = append(append(append(want, first...), second...), third...)
		d, _ := f.start(map[string]int{"sim": 1})
		for i, id := range want {
			d.Wake()
			synctest.Wait()
			if log := f.logged(); len(log) != 1 || log[0].Candidate.Execution != id {
				t.Errorf("release %d: got %+v, want %v", i, log, id)
			}
			f.finishAll()
		}
	})
}

func TestTenantsShareByCost(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 10} {
		t.Run(fmt.Sprint("pool of ", size), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				f.add(3000, jobs.Candidate{Tenant: "cheap", Cost: 100})
				f.add(3000, jobs.Candidate{Tenant: "dear", Cost: 1000})
				d, _ := f.start(map[string]int{"sim": size})
				var log []running
				for len(log) < 1100 {
					d.Wake()
					synctest.Wait()
					log = append(log, f.logged()...)
					f.finishAll()
				}
				got := count(log[:1100], byTenant)
				if size == 1 && (got["dear"] < 98 || got["dear"] > 102) {
					t.Errorf("of 1100 releases %v, want the same in tokens: 1000 cheap, 100 dear", got)
				}
				// With room for several the 80 % rule leaves dear two of ten.
				if size == 10 && got["dear"] < 218 {
					t.Errorf("of 1100 releases %v, want a fifth dear", got)
				}
			})
		})
	}
}

// TestSavedUpTurnEnds: who has saved up for a dear job and then has cheap ones
// that are more urgent may spend what it saved, and no more.
func TestSavedUpTurnEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 1})
		synctest.Wait()
		releases := func(n int) map[string]int {
			var log []running
			for range n {
				d.Wake()
				synctest.Wait()
				log = append(log, f.logged()...)
				f.finishAll()
			}
			return count(log, byTenant)
		}
		soon := time.Now().Add(time.Minute)
		f.add(1, jobs.Candidate{Tenant: "saver", Cost: 1000, Deadline: soon.Add(time.Hour)})
		f.add(1000, jobs.Candidate{Tenant: "other", Cost: 10, Deadline: soon})
		if got := releases(80); got["saver"] != 0 {
			t.Fatalf("released %v, want the saver to save still", got)
		}
		f.set(func() {
			key := jobs.ReadyQuery{Route: "sim/model"}
			dear := f.ready[key]["saver"]
			f.ready[key]["saver"] = nil
			for range 1000 {
				f.put(jobs.Candidate{
					Execution: uuid.Must(uuid.NewV7()), Tenant: "saver", Route: "sim/model", Cost: 10, Deadline: soon,
				})
			}
			f.put(dear[0])
		})
		if got := releases(200); got["saver"] < 130 || got["saver"] > 150 {
			t.Errorf("released %v, want the saver to have its 80 and half of the rest", got)
		}
	})
}

// TestUnseenWorkKeepsItsPlace: what a look cut off is more urgent than what
// another look showed.
func TestUnseenWorkKeepsItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 9})
		synctest.Wait()
		for _, tenant := range []string{"a", "b", "c"} {
			f.add(1, jobs.Candidate{Tenant: tenant})
		}
		d.Wake() // now it expects three tenants, and reads a part of each
		synctest.Wait()
		f.finishAll()
		f.logged()
		soon := time.Now().Add(time.Minute)
		f.add(20, jobs.Candidate{Tenant: "a", Deadline: soon})
		f.add(20, jobs.Candidate{Tenant: "a", Deadline: soon.Add(time.Hour), Route: "sim/other"})
		d.Wake()
		synctest.Wait()
		if got := count(f.logged(), func(r running) string { return r.Route }); got["sim/model"] != 9 {
			t.Errorf("released %v, want the nine most urgent", got)
		}
	})
}

func TestEveryTenantOfManyHasItsTurn(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 7, 200} {
		t.Run(fmt.Sprint("pool of ", size), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(t)
				const tenants = 300
				for i := range tenants {
					f.add(20, jobs.Candidate{Tenant: fmt.Sprintf("t%03d", i), Cost: 10 + int64(i%3)})
				}
				// One behind all others, seen by every look at another route.
				f.add(20, jobs.Candidate{Tenant: "z", Cost: 10, Route: "sim/other"})
				d, _ := f.start(map[string]int{"sim": size})
				var log []running
				for len(log) < 5*tenants {
					d.Wake()
					synctest.Wait()
					got := f.logged()
					if len(got) == 0 {
						t.Fatalf("stuck after %d releases", len(log))
					}
					log = append(log, got...)
					f.finishAll()
				}
				counts := count(log[:5*tenants], byTenant)
				for i := range tenants {
					if n := counts[fmt.Sprintf("t%03d", i)]; n < 3 || n > 7 {
						t.Errorf("tenant %d of %d had %d of %d releases, want about 5", i, tenants, n, 5*tenants)
					}
				}
			})
		})
	}
}

func TestOneTenantFillsALargePoolInOnePass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(t)
		d, _ := f.start(map[string]int{"sim": 500})
		synctest.Wait()
		f.asked()
		f.add(20_000, jobs.Candidate{Tenant: "a"})
		d.Wake()
		synctest.Wait()
		if log, n := f.logged(), f.asked(); len(log) != 500 || n > 6 {
			t.Errorf("released %d with %d queries, want 500 with at most 6", len(log), n)
		}
	})
}
